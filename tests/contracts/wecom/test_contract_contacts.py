"""Contacts in step with WeCom: whole and by events; what vanished is disabled, never deleted, and handed over.

Issue 4, "Contacts".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine.connectors.wecom.models import WeComAccount
from engine.org.demo import CAST, roster
from engine.org.models import Person
from sandbox.wecom.corp import corp
from sandbox.wecom.server import Running, running
from tests.contracts.wecom.ward import Ward, name, number, opened
from tests.dsl import Bpm

pytestmark = pytest.mark.backend("sqlite")


SOME = {m.staff_number for m in CAST.values()}
LEAD: dict[str, Any] = {"contacts": "lead", "everybody": False}


@pytest.fixture
def ward(bpm: Bpm, tmp_path: Path) -> Iterator[Ward]:
    """A hospital where WeCom leads, and nobody has an account yet; a small corp, for speed."""
    departments, everybody = roster()
    some = [p for p in everybody if p.state == "在职" and (p.number in SOME or p.number < "10100")]
    with running(corp(departments, some)) as stand_in, opened(bpm, stand_in, tmp_path, **LEAD) as made:
        yield made


@pytest.fixture
def whole(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[Ward]:
    """The same with all 1,600."""
    with opened(bpm, wecom_sandbox, tmp_path, **LEAD) as made:
        yield made


def compare(api: httpx.Client) -> dict[str, Any]:
    answer = api.post("/api/v1/admin/contacts/compare")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def sync(ward: Ward, confirmed: int = 0) -> dict[str, Any]:
    with ward.api("system_admin") as api:
        digest = compare(api)["digest"]
        answer = api.post("/api/v1/admin/contacts/sync", json={"digest": digest, "confirmed": confirmed})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def person(ward: Ward, staff_number: str) -> Person | None:
    with ward.db.reading() as session:
        return session.scalar(select(Person).where(Person.staff_number == staff_number))


def people(ward: Ward) -> int:
    with ward.db.reading() as session:
        return session.scalar(select(func.count()).select_from(Person)) or 0


def working(ward: Ward) -> int:
    with ward.db.reading() as session:
        return session.scalar(select(func.count()).select_from(Person).where(Person.disabled_at.is_(None))) or 0


def userids(ward: Ward) -> dict[str, str]:
    with ward.db.reading() as session:
        rows = session.execute(
            select(Person.staff_number, WeComAccount.userid).join(WeComAccount, WeComAccount.person_id == Person.id)
        ).all()
    return dict(rows)


def told(ward: Ward, answer: Any) -> None:
    """Wait until WeCom has told us of a change, then let the worker handle it."""
    for event in ward.stand_in.state.events:
        assert event.done.wait(10)
    ward.work()


def test_a_dry_run_prints_the_difference_and_writes_nothing(whole: Ward) -> None:
    ward = whole
    ward.control.change_member(userid=number("surgeon"), changes={"position": "副主任医师"})
    before = working(ward)
    with ward.api("system_admin") as api:
        plan = compare(api)
    assert "副主任医师" in str(plan["changes"])
    assert len(plan["links"]) == before
    assert userids(ward) == {}
    assert person(ward, number("surgeon")).post != "副主任医师"  # type: ignore[union-attr]
    assert sync(ward)["linked"] == before
    assert person(ward, number("surgeon")).post == "副主任医师"  # type: ignore[union-attr]
    assert len(userids(ward)) == before
    with ward.api("system_admin") as api:
        plan = compare(api)
    assert (plan["changes"], plan["links"]) == ([], []), "in step: nothing is left to do"


@pytest.mark.parametrize("who", ["nurse", "process_admin", "auditor"])
def test_it_is_the_system_admins(ward: Ward, who: str) -> None:
    with ward.api(who) as api:
        assert api.post("/api/v1/admin/contacts/compare").status_code == 403
        assert api.post("/api/v1/admin/contacts/sync", json={"digest": "x"}).status_code == 403


def test_another_difference_than_the_one_looked_at_is_refused(ward: Ward) -> None:
    with ward.api("system_admin") as api:
        digest = compare(api)["digest"]
        ward.control.change_member(userid=number("surgeon"), changes={"position": "副主任医师"})
        answer = api.post("/api/v1/admin/contacts/sync", json={"digest": digest})
    assert answer.status_code == 409
    assert userids(ward) == {}


def test_who_vanished_is_disabled_and_what_they_had_open_is_in_the_list(ward: Ward) -> None:
    sync(ward)
    story = ward.begin("surgeon")
    count = people(ward)
    told(ward, ward.control.delete_member(userid=number("surgeon")))
    left = person(ward, number("surgeon"))
    assert left is not None
    assert left.disabled_at is not None
    assert people(ward) == count
    with ward.api("process_admin") as api:
        listed = api.get("/api/v1/admin/handover").json()["people"]
        assert [(p["staff_number"], p["count"]) for p in listed] == [(number("surgeon"), 1)]
        answer = api.post(
            f"/api/v1/admin/handover/{left.id}",
            json={"to": str(ward.bpm.person("head_nurse")), "reason": "离职"},
            headers={"Idempotency-Key": "handover-1"},
        )
        assert answer.status_code == 200, answer.text
        assert api.get("/api/v1/admin/handover").json()["people"] == []
    ward.work()
    assert story.open == {("review", "head_nurse")}
    assert "同意" in ward.card("head_nurse").acting
    with ward.browser() as browser:
        status = browser.post("/api/v1/session/demo", json={"staff_number": number("surgeon")}).status_code
    assert status >= 400, "who has left doesn't come in"


def test_who_vanished_between_events_is_found_by_the_whole(ward: Ward) -> None:
    sync(ward)
    ward.control.callback(agentid=0)
    ward.control.delete_member(userid=number("surgeon"))
    done = sync(ward)
    assert (done["vanished"], done["disabled"]) == (1, 1)
    assert person(ward, number("surgeon")).disabled_at is not None  # type: ignore[union-attr]


def test_many_who_vanish_at_once_are_asked_about_first(ward: Ward) -> None:
    """A wrong scope or a broken answer must not close the hospital."""
    sync(ward)
    ward.control.callback(agentid=0)
    gone = [n for n in sorted(userids(ward)) if n not in SOME][:45]
    for each in gone:
        ward.control.delete_member(userid=each)
    with ward.api("system_admin") as api:
        plan = compare(api)
        assert plan["vanishing"] == len(gone) > plan["allowed"]
        refused = api.post("/api/v1/admin/contacts/sync", json={"digest": plan["digest"]})
        assert refused.status_code == 409, refused.text
    assert person(ward, gone[0]).disabled_at is None  # type: ignore[union-attr]


def test_a_renamed_userid_is_the_same_person(ward: Ward) -> None:
    sync(ward)
    count = people(ward)
    story = ward.begin("surgeon")
    told(ward, ward.control.change_member(userid=number("surgeon"), changes={"userid": "XianGuoDong"}))
    assert userids(ward)[number("surgeon")].lower() == "xianguodong"
    assert people(ward) == count
    assert person(ward, number("surgeon")).disabled_at is None  # type: ignore[union-attr]
    ward.bpm.start("p", by="nurse")
    assert "同意" in ward.card("XianGuoDong").acting
    assert sync(ward)["vanished"] == 0
    assert len(story.items()) == 1


def test_ones_own_fields_survive(ward: Ward) -> None:
    sync(ward)
    with ward.api("surgeon") as api:
        answer = api.put("/api/v1/me/settings", json={"reading": "xi guo dong", "mobile_hidden": True})
        assert answer.status_code < 300, answer.text
    ward.control.change_member(userid=number("surgeon"), changes={"position": "主任医师"})
    ward.work()
    sync(ward)
    assert person(ward, number("surgeon")).post == "主任医师"  # type: ignore[union-attr]
    with ward.api("surgeon") as api:
        assert api.get("/api/v1/me/settings").json() == {"reading": "xi guo dong", "mobile_hidden": True}
        found = api.get("/api/v1/people", params={"text": "xigd"}).text
    assert found


def test_a_new_member_becomes_a_person_who_can_be_told(ward: Ward) -> None:
    sync(ward)
    count = people(ward)
    place = ward.stand_in.state.members[number("surgeon").lower()].departments
    told(ward, ward.control.add_member(userid="20260", name="江新来", departments=place, position="住院医师"))
    made = person(ward, "20260")
    assert made is not None
    assert made.name == "江新来"
    assert made.disabled_at is None
    assert people(ward) == count + 1
    assert userids(ward)["20260"] == "20260"


def test_a_mobile_that_wecom_does_not_tell_is_not_lost(ward: Ward) -> None:
    """New apps get no mobile and mail: nothing is no news."""
    before = person(ward, number("surgeon"))
    assert before is not None
    assert before.mobile
    sync(ward)
    after = person(ward, number("surgeon"))
    assert after is not None
    assert (after.mobile, after.email) == (before.mobile, before.email)


def test_wecom_away_changes_nothing(ward: Ward) -> None:
    sync(ward)
    before = working(ward)
    ward.control.fault(endpoint="department/list", errcode=-1, times=20)
    with ward.api("system_admin") as api:
        assert api.post("/api/v1/admin/contacts/compare").status_code == 503
    ward.control.clear_faults()
    assert working(ward) == before


def test_only_accounts_where_the_hospital_leads(bpm: Bpm, tmp_path: Path) -> None:
    departments, everybody = roster()
    some = [p for p in everybody if p.number in SOME]
    with running(corp(departments, some)) as stand_in, opened(bpm, stand_in, tmp_path, everybody=False) as ward:
        ward.control.change_member(userid=number("surgeon"), changes={"position": "副主任医师", "name": "冼新名"})
        sync(ward)
        same = person(ward, number("surgeon"))
        assert same is not None
        assert same.name == name("surgeon")
        assert same.post != "副主任医师"


def test_every_run_is_on_record(ward: Ward) -> None:
    sync(ward)
    with ward.api("system_admin") as api:
        runs = api.get("/api/v1/admin/contacts").json()["runs"]
    assert len(runs) == 1
    assert runs[0]["actor"] == name("system_admin")
    assert not runs[0]["refused"]
