"""Attachments (附件): sent ahead of the form that names them, read by whoever sees the instance."""

import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, File, UploadFile
from fastapi.responses import FileResponse
from pydantic import Field
from sqlalchemy.orm import Session

from api.deps import Call, Router, Visit, allowed
from api.schemas import Answer
from engine import attachments
from engine.bpm import queries
from engine.org.actor import Actor
from engine.viewer import Viewer

router = Router("附件")

Reads = Annotated[Call, Depends(allowed("instances:read"))]
Sends = Annotated[Call, Depends(allowed("attachments:write"))]


class AttachmentOut(Answer):
    """A file. A staged one is deleted at `expires_at`, unless a form names it before."""

    id: uuid.UUID
    name: str = Field(examples=["诊断证明.pdf"])
    size: int = Field(description="字节", examples=[183204])
    mime: str = Field(examples=["application/pdf"])
    sha256: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    state: str = Field(description="staged 已上传，bound 已随表单提交", examples=["staged"])
    created_at: datetime
    expires_at: datetime | None


@router.post("/attachments", summary="上传附件", status_code=201)
def upload(call: Sends, file: Annotated[UploadFile, File(description="文件")]) -> AttachmentOut:
    """Store a file, staged for 24 hours; its id then goes into the form's data."""
    file.file.seek(0)  # the request may be tried again
    found = attachments.receive(call.session, call.settings, call.actor, file.filename or "", file.file)
    return AttachmentOut.model_validate(found)


@router.get("/attachments/{attachment_id}", summary="附件的名称、大小、类型")
def describe(call: Reads, attachment_id: uuid.UUID) -> AttachmentOut:
    """Say what an attachment is."""
    found, _ = opened(call, call.actor, attachment_id)
    return AttachmentOut.model_validate(found)


@router.get(
    "/attachments/{attachment_id}/content",
    summary="下载附件",
    response_class=FileResponse,
    responses={
        200: {
            "description": "文件内容",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def download(call: Reads, attachment_id: uuid.UUID) -> FileResponse:
    """Send the file; ranges are served."""
    found, path = opened(call, call.actor, attachment_id)
    headers = attachments.download_headers(found)
    del headers["Content-Length"]  # FileResponse knows it, and that of a range
    return FileResponse(path, media_type=headers.pop("Content-Type"), headers=headers)


@router.delete("/attachments/{attachment_id}", summary="删除刚上传、还没有提交的附件", status_code=204)
def remove(call: Sends, attachment_id: uuid.UUID) -> None:
    """Remove one of the caller's own staged files."""
    attachments.remove(call.session, call.actor, attachment_id)


def opened(call: Visit, actor: Actor, attachment_id: uuid.UUID) -> tuple[attachments.Attachment, Path]:
    """Return an attachment that a field shows to the actor, and where its file lies."""

    def ask(session: Session, _viewer: Viewer, found: attachments.Attachment) -> bool:
        return found.instance_id is not None and queries.may_open(session, actor, found.instance_id, found.id)

    return attachments.open_for(call.session, call.settings, actor, attachment_id, ask)
