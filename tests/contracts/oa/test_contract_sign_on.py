"""From the OA's list to the exact item without a password: once, for the right person, for minutes (issue 5, links)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from engine import clock
from engine.bpm.models import Instance
from engine.org.demo import CAST
from engine.settings import Settings
from sandbox.oa.constants import SIGN_ON_SECRET
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import CHIEF, EACH_PRODUCT, HEAD, Office, clicking, signed
from tests.dsl import Story
from tests.engine.connectors.desks import PRODUCTS, number
from tests.web.conftest import served

pytestmark = pytest.mark.backend("sqlite")


@contextmanager
def _browser(desk: Office, folder: Path) -> Iterator[httpx.Client]:
    settings = Settings(
        mode="demo", var=folder, secure_cookie=False, secret_key="a key of the tests, long enough for all"
    )
    with served(settings, desk.bpm.db) as client:
        yield client


def _click(desk: Office, who: str) -> str:
    """Click somebody's item in the OA's own list; return path and query that it leads to."""
    with clicking(desk.oa) as there:
        row = desk.row(who)
        answer = there.get("/desk/jump", params={"oa": PRODUCTS[desk.kind], "as": number(who), "id": row.id})
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}" == "https://oa.hospital.example"
    return f"{parts.path}?{parts.query}"


def _me(browser: httpx.Client) -> str | None:
    answer = browser.get("/api/v1/me")
    name = answer.json()["name"] if answer.status_code == 200 else None
    return next((member.staff_number for member in CAST.values() if member.name == name), None)


def _at(story: Story, who: str) -> str:
    return f"/items/{story.item(who).id}"


@pytest.mark.parametrize("kind", EACH_PRODUCT)
def test_a_click_in_the_oa_opens_the_exact_item_as_oneself_once(office: Opening, kind: str, tmp_path: Path) -> None:
    desk = office(kind)
    desk.begin(CHIEF)
    desk.bpm.start("p", by="nurse")
    story = desk.begin(HEAD, key="q")
    address = _click(desk, HEAD)
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(address)
        assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, _at(story, HEAD))
        assert _me(browser) == number(HEAD)
        page = browser.get(_at(story, HEAD))
        assert page.status_code == 200
        with desk.bpm.db.reading() as session:
            assert session.get_one(Instance, story.id).title in page.text
        browser.cookies.clear()
        again = browser.get(address)
        assert again.status_code in (403, 409), "a link that was used lets nobody in"
        assert _me(browser) is None


def _changed(address: str, **changes: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{urlencode([(k, changes.get(k, v)) for k, v in parse_qsl(parts.query)])}"


TAMPERED = {
    "another person": {"account": "10001"},
    "another moment": {"at": "1772000000000"},
    "another nonce": {"nonce": "0123456789abcdef"},
    "no signature": {"sign": ""},
    "another signature": {"sign": "0" * 64},
}


@pytest.mark.parametrize("case", TAMPERED)
@pytest.mark.parametrize("kind", ["landray.soap", pytest.param("template", marks=pytest.mark.slow)])
def test_what_was_changed_lets_nobody_in(office: Opening, kind: str, case: str, tmp_path: Path) -> None:
    desk = office(kind)
    desk.begin(HEAD)
    address = _click(desk, HEAD)
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(_changed(address, **TAMPERED[case]))
        assert answer.status_code == 403, answer.status_code
        assert _me(browser) is None
        assert browser.get(address).status_code == 303, "the link itself is still good"


def test_a_signature_is_of_one_item(office: Opening, tmp_path: Path) -> None:
    desk = office("landray.soap")
    first = desk.begin(HEAD)
    address = _click(desk, HEAD)
    second = desk.start()
    other = address.replace(first.item(HEAD).id.hex, second.item(HEAD).id.hex)
    assert other != address
    with _browser(desk, tmp_path) as browser:
        assert browser.get(other).status_code == 403
        assert _me(browser) is None


def test_expired_early_disabled_and_unknown(office: Opening, tmp_path: Path) -> None:
    desk = office("landray.soap")
    clock.freeze(clock.now())
    story = desk.begin(HEAD)
    link, item = desk.row(HEAD).link, story.item(HEAD).id.hex
    ms = int(clock.now().timestamp() * 1000)
    with _browser(desk, tmp_path) as browser:
        for nonce, at in (("a" * 16, ms - 301_000), ("b" * 16, ms + 301_000)):
            answer = browser.get(signed(link, number(HEAD), item, SIGN_ON_SECRET, at=at, nonce=nonce))
            assert answer.status_code == 403
            assert "过期" in answer.text
        answer = browser.get(signed(link, "nobody", item, SIGN_ON_SECRET, nonce="c" * 16))
        assert answer.status_code == 403
        assert _me(browser) is None
        assert browser.get(signed(link, number(HEAD), item, "not the secret", nonce="d" * 16)).status_code == 403
        good = signed(link, number(HEAD), item, SIGN_ON_SECRET, nonce="e" * 16)
        desk.person(HEAD, disabled_at=clock.now())
        assert browser.get(good).status_code == 403
        assert _me(browser) is None
        desk.person(HEAD, disabled_at=None)
        assert browser.get(signed(link, number(HEAD), item, SIGN_ON_SECRET, nonce="f" * 16)).status_code == 303
        assert _me(browser) == number(HEAD)


def test_a_wrong_person_comes_to_nothing_of_another(office: Opening, tmp_path: Path) -> None:
    """The OA stands for the chief; the item is the head nurse's alone."""
    desk = office("landray.soap")
    story = desk.begin(HEAD)
    link, item = desk.row(HEAD).link, story.item(HEAD).id.hex
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(signed(link, number("archivist"), item, SIGN_ON_SECRET))
        if answer.status_code == 303:
            page = browser.get(answer.headers["location"])
            assert page.status_code in (403, 404), page.status_code
        assert _me(browser) in (None, number("archivist"))
        unknown = uuid.uuid4().hex
        browser.cookies.clear()
        good = signed(link.replace(item, unknown), number("archivist"), unknown, SIGN_ON_SECRET, nonce="z" * 12)
        answer = browser.get(good, follow_redirects=True)
        assert answer.status_code in (403, 404)


def test_somebody_else_is_logged_in_there_and_is_asked_first(office: Opening, tmp_path: Path) -> None:
    desk = office("landray.soap")
    desk.begin(HEAD)
    address = _click(desk, HEAD)
    with _browser(desk, tmp_path) as browser:
        browser.post("/api/v1/session/demo", json={"staff_number": number(CHIEF)})
        answer = browser.get(address)
        assert answer.status_code == 200
        assert "换" in answer.text
        assert _me(browser) == number(CHIEF), "a link alone changes nobody"


def test_without_a_proof_one_logs_in_and_comes_to_the_item(office: Opening, tmp_path: Path) -> None:
    desk = office("landray.soap", sign_on=None)
    story = desk.begin(HEAD)
    path = urlsplit(desk.row(HEAD).link).path
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(path)
        assert answer.status_code == 303
        assert "/login" in answer.headers["location"]
        assert story.item(HEAD).id.hex in answer.headers["location"]
        browser.post("/api/v1/session/demo", json={"staff_number": number(HEAD)})
        answer = browser.get(path)
        assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, _at(story, HEAD))


def test_what_is_handled_leads_to_how_it_went(office: Opening, tmp_path: Path) -> None:
    desk = office("template")
    story = desk.begin(HEAD)
    address = _click(desk, HEAD)
    story.approve(by=HEAD)
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(address)
        assert answer.status_code == 303
        page = browser.get(answer.headers["location"], follow_redirects=True)
        assert page.status_code == 200
        assert str(story.id) in str(page.url)


def test_a_ticket_is_asked_about_and_an_invented_one_lets_nobody_in(office: Opening, tmp_path: Path) -> None:
    desk = office("weaver.rest")
    desk.begin(HEAD)
    path = urlsplit(desk.row(HEAD).link).path
    with _browser(desk, tmp_path) as browser:
        answer = browser.get(f"{path}?ticket=invented-by-somebody-1234")
        assert answer.status_code == 403
        assert _me(browser) is None
        late = _click(desk, HEAD)
        desk.oa.state.advance(61)
        assert browser.get(late).status_code == 403
        assert _me(browser) is None


def test_who_guesses_is_locked_out_for_a_while_and_a_true_signature_is_not(office: Opening, tmp_path: Path) -> None:
    desk = office("landray.soap")
    clock.freeze(clock.now())
    story = desk.begin(HEAD)
    link, item = desk.row(HEAD).link, story.item(HEAD).id.hex
    with _browser(desk, tmp_path) as browser:
        codes = [
            browser.get(signed(link, number(HEAD), item, "guess", nonce=f"guess{turn:011d}")).status_code
            for turn in range(21)
        ]
        assert set(codes[:20]) == {403}
        assert codes[20] == 409
        assert _me(browser) is None
        good = signed(link, number(HEAD), item, SIGN_ON_SECRET, nonce="best" * 4)
        assert browser.get(good).status_code == 303
