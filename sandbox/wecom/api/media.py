"""Temporary files (临时素材): uploaded by an app, kept for three days (D 90253, 90254)."""

from sandbox.codes import fresh
from sandbox.wecom.api.endpoints import Ask, File, Upload, endpoint
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import MEDIA_SECONDS, Json, Media
from sandbox.wecom.state import State

_MEGABYTE = 1024 * 1024
_MOST = {"image": 10 * _MEGABYTE, "voice": 2 * _MEGABYTE, "video": 10 * _MEGABYTE, "file": 20 * _MEGABYTE}
_LEAST = 6  # bytes
_MAGIC = {"image": (b"\xff\xd8\xff", b"\x89PNG"), "voice": (b"#!AMR",)}


@endpoint("POST", "media/upload")
def upload(state: State, ask: Ask) -> Json:
    """Keep a file and return its media_id."""
    kind = ask.query.get("type", "")
    if kind not in _MOST:
        raise ApiError(40005, "invalid type")
    file = _given(ask.media)
    if len(file.content) < _LEAST:
        raise ApiError(40006, "invalid media size")
    if len(file.content) > _MOST[kind]:
        raise ApiError(45001, "media size out of limit")
    if kind in _MAGIC and not file.content.startswith(_MAGIC[kind]):
        raise ApiError(40004, "invalid media type")
    media = Media(fresh(44), kind, file.filename, file.content_type, file.content, state.now())
    state.media[media.media_id] = media
    return {"type": kind, "media_id": media.media_id, "created_at": str(int(media.at))}


@endpoint("POST", "media/uploadimg")
def upload_image(state: State, ask: Ask) -> Json:
    """Keep a picture for good and return its address; 5 B to 2 MB."""
    file = _given(ask.media)
    if not _LEAST <= len(file.content) <= 2 * _MEGABYTE:
        raise ApiError(40009, "invalid image size")
    if not file.content.startswith(_MAGIC["image"]):
        raise ApiError(40004, "invalid media type")
    media = Media(fresh(44), "image", file.filename, file.content_type, file.content, float("inf"))
    state.media[media.media_id] = media
    return {"url": f"/pictures/{media.media_id}"}


@endpoint("GET", "media/get")
def get(state: State, ask: Ask) -> File:
    """Return a file."""
    media = state.media.get(ask.required("media_id", 41006))
    if media is None or media.at + MEDIA_SECONDS <= state.now():
        raise ApiError(40007, "invalid media_id")
    return File(media.filename, media.content_type, media.content)


def _given(file: Upload | None) -> Upload:
    if file is None or not file.content:
        raise ApiError(44001, "empty media data")
    return file
