"""Proofs on both databases: used once, counted by address, forgotten when they can't come in any more."""

import hashlib
import hmac
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select

from engine import clock
from engine.connectors.oa.entry import passing
from engine.connectors.oa.models import OAPass, OARefusal
from engine.errors import Conflict, Forbidden
from sandbox.oa import desk_jump
from sandbox.oa.constants import SIGN_ON_SECRET
from sandbox.oa.server import Running
from tests.dsl import Bpm
from tests.engine.connectors.desks import Desk, number

ITEM = uuid.UUID("0198c0de-c0de-7000-8000-00000000c0de")


@pytest.fixture
def desk(bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside Landray's OA, which signs."""
    return Desk(bpm, oa_sandbox, "landray.rest")


def signed(account: str, **more: str) -> dict[str, list[str]]:
    parts = {"account": account, "at": str(int(clock.now().timestamp() * 1000)), "nonce": uuid.uuid4().hex} | more
    text = "\n".join([parts["account"], parts["at"], parts["nonce"], ITEM.hex])
    sign = hmac.new(SIGN_ON_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {name: [value] for name, value in ({"sign": sign} | parts).items()}


def arrive(desk: Desk, query: dict[str, list[str]], address: str = "192.0.2.1") -> passing.Passed:
    return passing.arrive(desk.bpm.db, desk.connection, ITEM, query, address=address)


def test_a_proof_lets_in_once(desk: Desk) -> None:
    query = signed(number("nurse"))
    assert arrive(desk, query).person_id == desk.bpm.person("nurse")
    with pytest.raises(Forbidden) as refused:
        arrive(desk, query)
    assert refused.value.code == "oa_link_used"


def test_the_stand_in_s_jump_page_is_understood(desk: Desk) -> None:
    at = clock.now().timestamp()
    url = desk_jump.jump(desk_jump.Tickets(), "landray", "https://x.test/oa", number("nurse"), ITEM.hex, at)
    query = {name: [value] for name, value in (part.split("=") for part in url.partition("?")[2].split("&"))}
    assert arrive(desk, query).account == number("nurse")


def test_who_guesses_is_locked_out_by_address_and_a_true_signature_never_is(desk: Desk) -> None:
    wrong = signed(number("nurse")) | {"sign": ["0" * 64]}
    for n in range(passing.MOST):
        with pytest.raises(Forbidden, match="没有通过核对"):
            arrive(desk, wrong, f"2001:db8::{n:x}")  # one household
    with pytest.raises(Conflict):
        arrive(desk, wrong, "2001:db8::ffff")
    assert arrive(desk, signed(number("nurse")), "2001:db8::ffff").name
    with pytest.raises(Forbidden, match="没有通过核对"):
        arrive(desk, wrong, "192.0.2.9")
    clock.freeze(clock.now() + passing.LOCKED_FOR + timedelta(seconds=1))
    passing.purge(desk.bpm.db)
    assert arrive(desk, signed(number("nurse")), "2001:db8::ffff").name
    with desk.bpm.db.reading() as session:
        assert session.scalars(select(OARefusal)).all() == []
        assert len(session.scalars(select(OAPass)).all()) == 1
