"""Each errcode is of one class, and says in Chinese what can be done about it."""

from datetime import timedelta

import pytest

from engine.connectors.wecom.client import errors
from engine.connectors.wecom.client.errors import (
    Barred,
    CodeSpent,
    Duplicate,
    EntryExpired,
    Later,
    Misconfigured,
    NoRecipient,
    Refused,
    Unknown,
    WeComError,
)
from engine.errors import EngineError, Invalid, NotFound, Unauthenticated, Unavailable
from engine.outbox import Configuration, Permanent, Transient

LISTED: dict[type[WeComError], list[int]] = {
    Later: [-1, 40014, 42001, 45009, 45033],
    Misconfigured: [40001, 40013, 40056, 40091, 43012, 48002, 50001, 60020, 301002],
    Refused: [40004, 40005, 40006, 40008, 42015, 42016, *range(42027, 42052), 44001, 45001, 45002, 82002, 82003],
    Barred: [48009],
    Duplicate: [42014, 86215],
    CodeSpent: [60140],
    EntryExpired: [40029, 40035, 42003, 42022],
    NoRecipient: [50002, 60021, 81012, 81013, 86216],
    Unknown: [40003, 40007, 60011, 60111, 60123, 86003],
}
FAMILIES = {Later: Transient, Refused: Permanent, Misconfigured: Configuration}


@pytest.mark.parametrize(("kind", "errcode"), [(kind, code) for kind, codes in LISTED.items() for code in codes])
def test_an_errcode_has_its_class(kind: type[WeComError], errcode: int) -> None:
    error = errors.by_code(errcode, "message/send")
    assert type(error) is kind
    assert error.errcode == errcode
    assert str(error).endswith(f"（message/send，errcode {errcode}）")
    assert len(str(error)) < 200
    (family,) = [outside for ours, outside in FAMILIES.items() if isinstance(error, ours)]
    assert isinstance(error, family)


def test_every_errcode_is_in_this_table() -> None:
    assert sorted(errors.CODES) == sorted(code for codes in LISTED.values() for code in codes)


def test_an_errcode_that_nobody_knows_is_not_tried_again() -> None:
    error = errors.by_code(987654, "message/send")
    assert type(error) is Refused
    assert "errcode 987654" in str(error)


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("agent/set_workbench_data", Refused),
        ("agent/set_workbench_template", Refused),
        ("appchat/create", Refused),
        ("appchat/send", Refused),
        ("agent/get", Misconfigured),
        ("message/send", Misconfigured),
    ],
)
def test_what_is_granted_apart_holds_nothing_else_up(endpoint: str, kind: type[WeComError]) -> None:
    error = errors.by_code(48002, endpoint)
    assert type(error) is kind
    assert "管理后台" in str(error)


def test_limits_say_when() -> None:
    delays = [(errors.by_code(code, "x")) for code in (45009, 45033, -1)]
    assert [error.delay for error in delays if isinstance(error, Later)] == [
        timedelta(minutes=1),
        timedelta(seconds=5),
        None,
    ]


@pytest.mark.parametrize("errcode", LISTED[Misconfigured])
def test_what_an_administrator_must_mend_says_where(errcode: int) -> None:
    assert "管理后台" in str(errors.by_code(errcode, "message/send"))


def test_an_untrusted_address_is_told_with_the_address() -> None:
    text = str(errors.by_code(60020, "gettoken", "：203.0.113.7"))
    assert text.startswith("服务器地址不在应用的“企业可信IP”里，请在企业微信管理后台添加：203.0.113.7")


@pytest.mark.parametrize(
    ("errcode", "kind", "code"),
    [
        (-1, Unavailable, "wecom_unavailable"),
        (60020, Unavailable, "wecom_unavailable"),
        (40029, Unauthenticated, "wecom_entry_expired"),
        (60111, NotFound, "wecom_unknown"),
        (81013, NotFound, "wecom_unknown"),
        (45002, Invalid, "wecom_refused"),
    ],
)
def test_where_a_person_waits_it_is_a_refusal_of_the_engine(errcode: int, kind: type[EngineError], code: str) -> None:
    with pytest.raises(kind) as refused, errors.unavailable():
        raise errors.by_code(errcode, "auth/getuserinfo")
    assert refused.value.code == code


def test_a_limit_that_is_used_up_is_for_later_where_a_person_waits() -> None:
    with pytest.raises(Unavailable, match="上限"), errors.unavailable():
        raise Transient("已到每分钟的发送上限")
