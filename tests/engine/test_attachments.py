"""Attachments: what comes in, what is refused, who may bind and read, what is cleared away."""

import hashlib
import io
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import attachments, clock
from engine.attachments import Attachment, intake, names
from engine.bpm.models import Instance, Process, ProcessVersion
from engine.db import Database
from engine.errors import Conflict, Invalid, NotFound, Unavailable
from engine.org.models import Department, Person
from engine.settings import Settings
from tests.factories.files import BAD, GOOD, made

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@dataclass
class Somebody:
    """A viewer without roles."""

    person_id: uuid.UUID

    def has(self, *roles: str) -> bool:
        return False


@dataclass
class Ward:
    """Two members of staff and two instances."""

    nurse: Somebody
    head: Somebody
    instance: uuid.UUID
    other: uuid.UUID


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small files in a folder of the test's own."""
    return Settings(var=tmp_path, attachment_max_mb=1, secret_key=SecretStr("x" * 32))


@pytest.fixture
def ward(session: Session) -> Ward:
    return populate(session)


def populate(session: Session) -> Ward:
    department = Department(code="D1", name="内科", kind="临床")
    session.add(department)
    session.flush()
    people = [Person(staff_number=f"100{n}", name="某某", department_id=department.id) for n in range(2)]
    session.add_all([*people, Process(key="leave", name="请假")])
    session.flush()
    version = ProcessVersion(key="leave", number=1, files=b"", digest="", deployed_at=NOON)
    session.add(version)
    session.flush()
    instances = [
        Instance(
            process_key="leave",
            version_id=version.id,
            title="请假",
            initiator_id=people[0].id,
            department_id=department.id,
            engine_state=b"",
            data=b"",
            started_at=NOON,
        )
        for _ in range(2)
    ]
    session.add_all(instances)
    session.flush()
    return Ward(Somebody(people[0].id), Somebody(people[1].id), instances[0].id, instances[1].id)


def stored_files(settings: Settings) -> list[Path]:
    return [path for path in settings.attachments.rglob("*") if path.is_file()]


def receive(session: Session, settings: Settings, who: Somebody, name: str = "a.txt", data: bytes = b"x") -> Attachment:
    return attachments.receive(session, settings, who, name, io.BytesIO(data))


def everybody(_session: Session, _viewer: object, _what: object) -> bool:
    return True


def nobody(_session: Session, _viewer: object, _what: object) -> bool:
    return False


# Receiving


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.backend("sqlite")
def test_the_usual_kinds_are_stored_as_they_are(session: Session, settings: Settings, ward: Ward, name: str) -> None:
    data, mime = GOOD[name]
    got = receive(session, settings, ward.nurse, name, data)
    assert (got.name, got.mime, got.size, got.state) == (name, mime, len(data), "staged")
    assert got.sha256 == hashlib.sha256(data).hexdigest()
    attachment, path = attachments.open_for(session, settings, ward.nurse, got.id, nobody)
    assert (attachment.id, path.read_bytes()) == (got.id, data)
    assert stored_files(settings) == [path]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.backend("sqlite")
def test_what_is_refused_leaves_nothing(session: Session, settings: Settings, ward: Ward, case: str) -> None:
    name, content, code = BAD[case]
    with pytest.raises(Invalid, match="附件“") as refused:
        receive(session, settings, ward.nurse, name, made(content))
    assert refused.value.code == code
    assert stored_files(settings) == []
    assert session.scalars(select(Attachment)).all() == []


@pytest.mark.backend("sqlite")
def test_a_text_file_never_passes_as_a_frame_of_mp3(session: Session, settings: Settings, ward: Ward) -> None:
    for head in (b"\xff\xfe\x41", b"\xff\xff\x90", b"\xff\xfb\xf0", b"\xff\xfb\x9c", b"\xff\xfb"):
        with pytest.raises(Invalid):
            receive(session, settings, ward.nurse, "a.mp3", head)


class Endless(io.RawIOBase):
    """A client that never stops."""

    sent = 0

    def read(self, size: int = -1) -> bytes:
        self.sent += size
        return b"x" * size


@pytest.mark.backend("sqlite")
def test_receiving_stops_at_the_limit(session: Session, settings: Settings, ward: Ward) -> None:
    client = Endless()
    with pytest.raises(Invalid, match="超过 1 MB"):
        attachments.receive(session, settings, ward.nurse, "a.txt", client)  # type: ignore[arg-type]
    assert client.sent <= 2 << 20
    assert stored_files(settings) == []
    exactly = receive(session, settings, ward.nurse, "a.txt", b"x" * (1 << 20))
    assert exactly.size == 1 << 20


class Broken(io.RawIOBase):
    """A client that goes away in the middle."""

    def __init__(self) -> None:
        self.pieces = iter([b"x" * 1000])

    def read(self, size: int = -1) -> bytes:
        for piece in self.pieces:
            return piece
        raise ConnectionResetError


@pytest.mark.backend("sqlite")
def test_a_client_that_goes_away_leaves_nothing(session: Session, settings: Settings, ward: Ward) -> None:
    with pytest.raises(Unavailable):
        attachments.receive(session, settings, ward.nurse, "a.txt", Broken())  # type: ignore[arg-type]
    assert stored_files(settings) == []


@pytest.mark.backend("sqlite")
def test_a_disk_that_refuses_is_said_and_leaves_nothing(session: Session, settings: Settings, ward: Ward) -> None:
    settings.attachments.parent.mkdir(exist_ok=True)
    settings.attachments.write_text("not a folder")
    with pytest.raises(Unavailable, match="磁盘"):
        receive(session, settings, ward.nurse)
    assert session.scalars(select(Attachment)).all() == []


def test_who_sends_much_and_uses_nothing_of_it_is_stopped(
    session: Session, settings: Settings, ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_STAGED", 4)
    for _ in range(4):
        got = receive(session, settings, ward.nurse)
    attachments.remove(session, ward.nurse, got.id)  # its file is there until the purge
    with pytest.raises(Conflict, match=r"还没有提交的附件有 4 个.*先提交表单，或删去") as refused:
        receive(session, settings, ward.nurse)
    assert refused.value.code == "attachment_quota"
    assert len(stored_files(settings)) == 4
    receive(session, settings, ward.head)
    staged = session.scalars(select(Attachment).where(Attachment.state == "staged"))
    mine = [a.id for a in staged if a.uploader_id == ward.nurse.person_id]
    attachments.bind(session, ward.nurse, mine, ward.instance, None, "f")
    assert receive(session, settings, ward.nurse).state == "staged"


def test_the_bytes_that_wait_are_bounded_too(session: Session, settings: Settings, ward: Ward) -> None:
    for _ in range(intake.MAX_STAGED_TIMES):
        receive(session, settings, ward.nurse, "a.txt", b"x" * (1 << 20))
    with pytest.raises(Conflict, match="最多 200 个、10 MB"):
        receive(session, settings, ward.nurse)
    assert len(stored_files(settings)) == intake.MAX_STAGED_TIMES


@pytest.mark.backend("sqlite")
def test_paths_hold_nothing_that_the_client_sent(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse, "../../etc/pass wd.txt")
    (path,) = stored_files(settings)
    relative = path.relative_to(settings.attachments)
    assert re.fullmatch(rf"[0-9a-f]{{2}}/[0-9a-f]{{2}}/{got.id}", str(relative))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\张三\\桌面\\请假条.docx", "请假条.docx"),
        ("a\x00b\r\nc\x7f.txt", "abc.txt"),
        ("请假\u202excod.pdf", "请假xcod.pdf"),
        ("\u2066a\u2069\u200b\ufeff\u2028.txt", "a.txt"),
        ('<img src=x onerror="1">?*|:.png', "_img src=x onerror=_1______.png"),
        ("  a.pdf . ", "a.pdf"),
        ("...", "附件"),
        (".pdf", "附件.pdf"),
        ("", "附件"),
        ("..", "附件"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("长" * 300 + ".pdf", "长" * 196 + ".pdf"),
        ("a." + "b" * 300, "a." + "b" * 300),
        ("\ud800.txt", "附件.txt"),
    ],
)
def test_names_are_cleaned(sent: str, kept: str) -> None:
    assert names.clean(sent) == kept[:200]
    assert names.clean(names.clean(sent)) == names.clean(sent)


# Binding and reading


def test_my_staged_files_become_part_of_the_instance(session: Session, settings: Settings, ward: Ward) -> None:
    first, second = receive(session, settings, ward.nurse), receive(session, settings, ward.nurse)
    bound = attachments.bind(session, ward.nurse, [second.id, first.id, second.id], ward.instance, None, "proof")
    assert [a.id for a in bound] == [second.id, first.id]
    assert {(a.state, a.instance_id, a.field, a.expires_at) for a in bound} == {("bound", ward.instance, "proof", None)}
    again = attachments.bind(session, ward.head, [first.id], ward.instance, None, "proof", held={first.id})
    assert again == [first]  # the head sends the form back with what is there


@pytest.mark.parametrize("trick", ["another's", "unknown", "another instance's", "another field's", "removed"])
def test_nothing_else_can_be_bound(session: Session, settings: Settings, ward: Ward, trick: str) -> None:
    mine = receive(session, settings, ward.nurse)
    target = receive(session, settings, ward.head if trick == "another's" else ward.nurse)
    if trick == "another instance's":
        attachments.bind(session, ward.nurse, [target.id], ward.other, None, "f")
    if trick == "another field's":
        attachments.bind(session, ward.nurse, [target.id], ward.instance, None, "g")
    if trick == "removed":
        attachments.remove(session, ward.nurse, target.id)
    wanted = uuid.uuid4() if trick == "unknown" else target.id
    held = {target.id} if trick == "another instance's" else set[uuid.UUID]()
    with pytest.raises(NotFound) as refused:
        attachments.bind(session, ward.nurse, [mine.id, wanted], ward.instance, None, "f", held=held)
    assert refused.value.code == "attachment_not_found"
    assert mine.state == "staged"
    assert (target.instance_id, target.field) in ((None, ""), (ward.other, "f"), (ward.instance, "g"))


def test_files_are_bound_before_their_new_instance_is_written(committed_db: Database, settings: Settings) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        got = receive(session, settings, ward.nurse)
        model = session.get_one(Instance, ward.instance)
        new = uuid.uuid4()
        attachments.bind(session, ward.nurse, [got.id], new, None, "f")
        session.flush()
        copied = {c.name: getattr(model, c.name) for c in Instance.__table__.columns}
        session.add(Instance(**copied | {"id": new}))
    with committed_db.reading() as session:
        assert session.get_one(Attachment, got.id).instance_id == new


def test_staged_files_are_their_uploaders_alone(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.head, got.id, everybody)
    assert attachments.open_for(session, settings, ward.nurse, got.id, nobody)[0] is got


def test_bound_files_are_for_those_who_may_see_the_instance(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    attachments.bind(session, ward.nurse, [got.id], ward.instance, None, "f")
    asked: list[tuple[object, uuid.UUID]] = []

    def may_open(_session: Session, viewer: object, attachment: Attachment) -> bool:
        asked.append((viewer, attachment.id))
        return True

    assert attachments.open_for(session, settings, ward.head, got.id, may_open)[0] is got
    assert asked == [(ward.head, got.id)]
    with pytest.raises(NotFound):  # having sent it doesn't suffice
        attachments.open_for(session, settings, ward.nurse, got.id, nobody)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.nurse, uuid.uuid4(), everybody)


def test_described_together_are_those_that_the_viewer_may_read(
    session: Session, settings: Settings, ward: Ward
) -> None:
    first, second, hidden, staged, removed = (receive(session, settings, ward.nurse) for _ in range(5))
    attachments.bind(session, ward.nurse, [first.id, second.id, hidden.id], ward.instance, None, "f")
    attachments.remove(session, ward.nurse, removed.id)
    shown = {first.id, second.id, removed.id}
    ids = [staged.id, second.id, removed.id, uuid.uuid4(), hidden.id, first.id, second.id]
    assert attachments.describe(session, ward.nurse, ids, shown) == [staged, second, first]
    assert attachments.describe(session, ward.head, ids, shown | {staged.id}) == [second, first]
    assert attachments.describe(session, ward.head, [], shown) == []


def test_a_file_gone_from_the_disk_is_said(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    attachments.path_of(settings, got.id).unlink()
    with pytest.raises(Unavailable, match="缺失"):
        attachments.open_for(session, settings, ward.nurse, got.id, nobody)


def test_only_my_own_staged_files_can_be_removed(session: Session, settings: Settings, ward: Ward) -> None:
    mine, bound = receive(session, settings, ward.nurse), receive(session, settings, ward.nurse)
    attachments.bind(session, ward.nurse, [bound.id], ward.instance, None, "f")
    for who, id_ in ((ward.head, mine.id), (ward.nurse, bound.id), (ward.nurse, uuid.uuid4())):
        with pytest.raises(NotFound):
            attachments.remove(session, who, id_)
    attachments.remove(session, ward.nurse, mine.id)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.nurse, mine.id, everybody)
    with pytest.raises(NotFound):
        attachments.remove(session, ward.nurse, mine.id)


@pytest.mark.parametrize(
    ("name", "inline"),
    [("a.pdf", True), ("a.png", True), ("a.jpeg", True), ("a.heic", False), ("a.txt", False), ("a.zip", False)],
)
def test_only_pdf_and_pictures_open_in_the_page(name: str, inline: bool) -> None:
    headers = attachments.download_headers(Attachment(name=name, mime="x/y", size=7))
    assert headers["Content-Disposition"].startswith("inline;" if inline else "attachment;")
    assert (headers["Content-Type"], headers["Content-Length"]) == ("x/y", "7")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["请假 条.pdf", 'a";filename=evil.exe;x=".pdf', "a\\b%41'é.pdf", "🩺.pdf"])
def test_names_survive_the_header_and_cannot_leave_it(name: str) -> None:
    header = names.disposition(name, inline=False)
    found = re.fullmatch(r"attachment; filename=\"([A-Za-z0-9._-]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header)
    assert found is not None
    assert unquote(found[2]) == name
    assert found[1].endswith(".pdf")


# Clearing away


@pytest.fixture
def noon() -> Iterator[Callable[[float], None]]:
    """Hold the clock at noon, and set it to so many hours later."""
    clock.freeze(NOON)
    yield lambda hours: clock.freeze(NOON + timedelta(hours=hours))
    clock.freeze(None)


def test_expired_files_are_deleted_and_bound_ones_stay(
    committed_db: Database, settings: Settings, noon: Callable[[float], None]
) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        staged, bound, removed, draft = (receive(session, settings, ward.nurse) for _ in range(4))
        attachments.bind(session, ward.nurse, [bound.id], ward.instance, None, "f")
        attachments.remove(session, ward.nurse, removed.id)
        attachments.keep(session, ward.nurse, [draft.id, bound.id, removed.id], NOON + timedelta(days=30))
        attachments.keep(session, ward.nurse, [draft.id], NOON)  # never shorter
        attachments.keep(session, ward.head, [staged.id], NOON + timedelta(days=30))  # nor by another
    for hours, left in ((0, [staged, bound, draft]), (23.9, [staged, bound, draft]), (24, [bound, draft])):
        noon(hours)
        attachments.purge(committed_db, settings)
        with committed_db.reading() as session:
            assert {a.id for a in session.scalars(select(Attachment))} == {a.id for a in left}
        assert {path.name for path in stored_files(settings)} == {str(a.id) for a in left}
    noon(30 * 24)
    assert attachments.purge(committed_db, settings) == 1
    assert [path.name for path in stored_files(settings)] == [str(bound.id)]


def test_files_without_rows_are_deleted_once_they_are_old(
    committed_db: Database, settings: Settings, noon: Callable[[float], None]
) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        known = receive(session, settings, ward.nurse)
    with committed_db.unit_of_work() as session:
        receive(session, settings, ward.nurse)
        session.rollback()  # the transaction fails after the file was stored
    incoming = settings.attachments / "incoming" / str(uuid.uuid4())
    incoming.write_bytes(b"half")
    foreign = settings.attachments / "README.txt"
    foreign.write_bytes(b"not ours")
    for path in stored_files(settings):
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    noon(23.9)
    assert attachments.purge_files(committed_db, settings) == 0
    noon(24.1)
    assert attachments.purge_files(committed_db, settings) == 2
    assert set(stored_files(settings)) == {attachments.path_of(settings, known.id), foreign}
