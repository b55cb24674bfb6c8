"""Accounts that administrators see and change, and codes that go out by mail and by text."""

import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.connectors.wecom import accounts
from engine.connectors.wecom.entry import codes
from engine.connectors.wecom.entry.sending import Post, PostSettings
from engine.connectors.wecom.models import WeComAccount, WeComCode
from engine.errors import Conflict, EngineError, Forbidden, Invalid, NotFound
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Configuration, Outbox, Permanent, Transient
from tests.dsl import Bpm

NURSE, HEAD_NURSE = CAST["nurse"].staff_number, CAST["head_nurse"].staff_number
ID = uuid.UUID("0198c0de-c0de-7000-8000-00000000c0de")


# -- accounts


def test_an_administrator_links_changes_and_unlinks(bpm: Bpm) -> None:
    admin = bpm.actor("system_admin")
    with bpm.db.unit_of_work() as session:
        assert accounts.shown(session, admin, NURSE).userid == ""
        accounts.link(session, admin, NURSE, "ShanXY")
        accounts.link(session, admin, NURSE, " shan.xy@hospital ")
        found = accounts.shown(session, admin, NURSE)
        assert (found.userid, found.joined_at) == ("shan.xy@hospital", None)
        assert accounts.account_of(session, "SHANXY") is None
        accounts.unlink(session, admin, NURSE)
        with pytest.raises(NotFound):
            accounts.unlink(session, admin, NURSE)
        assert session.scalars(select(WeComAccount)).all() == []


def test_a_member_is_one_person(bpm: Bpm) -> None:
    with bpm.db.unit_of_work() as session:
        accounts.link(session, None, NURSE, "ShanXY")
        with pytest.raises(Conflict, match="单晓燕"):
            accounts.link(session, None, HEAD_NURSE, "SHANXY")


@pytest.mark.parametrize("userid", ["", "-x", "a b", "名字", "a" * 65, "a'b"])
def test_what_is_no_userid_is_refused(bpm: Bpm, userid: str) -> None:
    with bpm.db.unit_of_work() as session, pytest.raises(Invalid):
        accounts.link(session, None, NURSE, userid)


@pytest.mark.parametrize("who", ["nurse", "process_admin", "auditor"])
def test_nobody_but_system_admins_sees_or_changes_accounts(bpm: Bpm, who: str) -> None:
    actor = bpm.actor(who)
    with bpm.db.unit_of_work() as session:
        for refused in (
            lambda: accounts.shown(session, actor, HEAD_NURSE),
            lambda: accounts.link(session, actor, HEAD_NURSE, "x"),
            lambda: accounts.unlink(session, actor, HEAD_NURSE),
        ):
            with pytest.raises(Forbidden):
                refused()


def test_an_administrator_does_not_change_their_own(bpm: Bpm) -> None:
    admin = bpm.actor("system_admin")
    with bpm.db.unit_of_work() as session, pytest.raises(Forbidden):
        accounts.link(session, admin, CAST["system_admin"].staff_number, NURSE)


# -- mail


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that takes what it is told to: `refuses` maps a command to an answer."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.mails: list[str] = []
        self.refuses: dict[str, str] = {}


class _Smtp(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self.say("220 mail")
        while line := self.rfile.readline().decode().strip():
            verb = (
                line.split(":")[0].split(" ")[0].upper()
                if not line.upper().startswith(("MAIL", "RCPT"))
                else line[:4].upper()
            )
            if verb in self.server.refuses:
                self.say(self.server.refuses[verb])
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text)
                self.server.mails.append("\n".join(lines))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with _serving(Mailbox()) as server:
        yield server


@contextmanager
def _serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def mail_settings(server: Mailbox, **more: Any) -> PostSettings:
    port = server.server_address[1]
    given: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_sender": "批阅 <oa@h.example>"}
    return PostSettings(**(given | {"smtp_security": "none"} | more))


def test_a_mail_tells_the_code_and_warns_who_did_not_ask(mailbox: Mailbox) -> None:
    post = Post(mail_settings(mailbox))
    post.mail(ID, "10027@hospital.example", "012345", 10)
    post.mail(ID, "10027@hospital.example", "012345", 10)
    assert mailbox.mails[0].count(f"Message-ID: <{ID}@piyue>") == 1
    assert mailbox.mails[0].split("\n\n")[0] == mailbox.mails[1].split("\n\n")[0]  # a repeated one is the same mail
    assert "To: 10027@hospital.example" in mailbox.mails[0]
    assert post.ways == {"mail"}


@pytest.mark.parametrize(
    ("refuses", "error"),
    [
        ({"RCPT": "550 no such user"}, Permanent),
        ({"RCPT": "450 mailbox busy"}, Transient),
        ({"MAIL": "550 sender unknown"}, Configuration),
        ({"DATA": "554 refused"}, Permanent),
        ({"DATA": "451 later"}, Transient),
    ],
    ids=str,
)
def test_what_the_mail_server_says_decides_what_becomes_of_it(
    mailbox: Mailbox, refuses: dict[str, str], error: type[Exception]
) -> None:
    mailbox.refuses = refuses
    with pytest.raises(error) as told:
        Post(mail_settings(mailbox)).mail(ID, "10027@hospital.example", "012345", 10)
    assert "012345" not in str(told.value)
    assert "hospital.example" not in str(told.value)


def test_a_mail_server_without_tls_gets_no_mail_where_tls_is_demanded(mailbox: Mailbox) -> None:
    with pytest.raises((Transient, Configuration)):
        Post(mail_settings(mailbox, smtp_security="starttls")).mail(ID, "a@h.example", "012345", 10)
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("sender", "to", "error"),
    [("", "a@h.example", Configuration), ("oa@h.example", "a@h.example\r\nBcc: b@h.example", Permanent)],
)
def test_addresses_that_are_none_go_nowhere(mailbox: Mailbox, sender: str, to: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Post(mail_settings(mailbox, smtp_sender=sender)).mail(ID, to, "012345", 10)
    assert mailbox.mails == []


# -- text messages


class Gateway(ThreadingHTTPServer):
    """An SMS gateway: `answer` is what it says, `asked` what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Sms)
        self.asked: list[tuple[str, str, str]] = []
        self.answer: tuple[int, bytes] = (200, b'{"code": 0}')


class _Sms(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, self.headers.get("Authorization", ""), body))
        status, content = self.server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with _serving(Gateway()) as server:
        yield server


def sms_settings(server: Gateway, **more: Any) -> PostSettings:
    url = f"http://127.0.0.1:{server.server_port}/send?app=piyue"
    given: dict[str, Any] = {"sms_url": url, "sms_success": '"code": 0', "sms_authorization": "Bearer secret-key"}
    return PostSettings(**(given | more))


def test_a_text_goes_to_the_gateway_as_its_template_says(gateway: Gateway) -> None:
    post = Post(sms_settings(gateway, sms_body='{"to":"{mobile}","vars":{"code":"{code}","min":"{minutes}"}}'))
    post.sms("13800000027", "012345", 10)
    body = '{"to":"13800000027","vars":{"code":"012345","min":"10"}}'
    assert gateway.asked == [("/send?app=piyue", "Bearer secret-key", body)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, b'{"code": 7}'), Permanent),
        ((401, b""), Configuration),
        ((429, b""), Transient),
        ((503, b""), Transient),
        ((302, b""), Permanent),
        ((400, b""), Permanent),
    ],
    ids=str,
)
def test_what_the_gateway_says_decides_what_becomes_of_it(
    gateway: Gateway, answer: tuple[int, bytes], error: type[Exception]
) -> None:
    gateway.answer = answer
    with pytest.raises(error) as told:
        Post(sms_settings(gateway)).sms("13800000027", "012345", 10)
    assert len(gateway.asked) == 1  # no redirection is followed
    for secret in ("012345", "13800000027", "secret-key"):
        assert secret not in str(told.value)


def test_a_number_that_is_none_never_gets_into_the_template(gateway: Gateway) -> None:
    with pytest.raises(Permanent):
        Post(sms_settings(gateway)).sms('1", "x": "', "012345", 10)
    assert gateway.asked == []


# -- through the outbox


def asked_for(bpm: Bpm, post: Post) -> tuple[codes.Codes, uuid.UUID]:
    made = codes.Codes(b"k" * 32, post, demo=False)
    bpm.db.provide(made)
    codes.declare()
    with bpm.db.unit_of_work() as session:
        person = session.get_one(Person, bpm.person("nurse"))
        return made, codes.send(session, made, person, NURSE, next(iter(post.ways))).id


def row_of(bpm: Bpm) -> Outbox:
    with bpm.db.reading() as session:
        return session.scalars(select(Outbox).where(Outbox.system == "joining").order_by(Outbox.id.desc())).first()  # type: ignore[return-value]


def test_a_code_is_sent_by_the_worker(bpm: Bpm, gateway: Gateway) -> None:
    made, id_ = asked_for(bpm, Post(sms_settings(gateway)))
    bpm.work()
    ((_, _, body),) = gateway.asked
    assert made.of(id_) in body
    assert "13800000027" in body
    assert row_of(bpm).state == "done"
    assert codes.check(bpm.db, made, bpm.person("nurse"), NURSE, made.of(id_)) == id_


def test_a_gateway_that_is_away_is_tried_again(bpm: Bpm, gateway: Gateway) -> None:
    gateway.answer = (503, b"")
    asked_for(bpm, Post(sms_settings(gateway)))
    bpm.work()
    assert row_of(bpm).state == "pending"
    gateway.answer = (200, b'{"code": 0}')
    clock.freeze(clock.now() + codes.LASTS / 2)
    bpm.work()
    assert row_of(bpm).state == "done"
    assert len(gateway.asked) == 2


def test_a_code_that_is_no_longer_good_is_not_sent(bpm: Bpm, gateway: Gateway) -> None:
    made, _ = asked_for(bpm, Post(sms_settings(gateway)))
    _, second = asked_for(bpm, Post(sms_settings(gateway)))
    bpm.work()
    assert [made.of(second) in body for _, _, body in gateway.asked] == [True]
    asked_for(bpm, Post(sms_settings(gateway)))
    clock.freeze(clock.now() + codes.LASTS)
    bpm.work()
    assert len(gateway.asked) == 1
    assert row_of(bpm).state == "done"


def test_codes_follow_from_the_key_and_differ_by_row() -> None:
    post = Post(PostSettings())
    one, other = codes.Codes(b"a" * 32, post, demo=False), codes.Codes(b"b" * 32, post, demo=False)
    ids = [uuid.uuid4() for _ in range(200)]
    assert all(len(one.of(id_)) == 6 and one.of(id_).isdecimal() for id_ in ids)
    assert len({one.of(id_) for id_ in ids}) > 190
    assert sum(one.of(id_) == other.of(id_) for id_ in ids) < 3


@pytest.mark.parametrize(
    ("mobile", "mail", "shown"),
    [
        ("13800000027", "shan@h.example", ["138****0027", "s***@h.example"]),
        ("", "", []),
        ("110", "@h.example", []),
    ],
)
def test_what_is_on_record_is_shown_masked(mobile: str, mail: str, shown: list[str]) -> None:
    made = codes.Codes(b"a" * 32, Post(PostSettings(smtp_host="h", sms_url="http://h/")), demo=False)
    person = Person(mobile=mobile, email=mail)
    assert [contact.shown for contact in codes.contacts(made, person)] == shown


def test_tries_at_the_same_moment_count_too(bpm: Bpm, gateway: Gateway) -> None:
    made, id_ = asked_for(bpm, Post(sms_settings(gateway)))
    wrong = f"{(int(made.of(id_)) + 1) % 1_000_000:06d}"
    barrier, refusals = threading.Barrier(12), []

    def guess() -> None:
        barrier.wait()
        try:
            codes.check(bpm.db, made, bpm.person("nurse"), NURSE, wrong)
        except EngineError as error:
            refusals.append(error.code)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refusals) == ["joining_code"] * 5 + ["joining_code_gone"] * 7
    with bpm.db.reading() as session:
        assert session.get_one(WeComCode, id_).tries == codes.TRIES


def test_every_topic_has_its_handler() -> None:
    outbox.check()
