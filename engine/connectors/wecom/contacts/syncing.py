"""WeCom's contacts (通讯录同步): departments and members, whole or as events tell, as departments and people of ours.

WeCom is asked first, without a transaction; then, behind a lock, the difference is computed from the rows as they are
and written in one transaction, with one row of the trail. Whether WeCom leads names, departments and posts says
`WeComSettings.contacts`: `accounts` links members to people and only tells what differs.
Sources: WeCom documents 90208 (department/list), 90201 (user/list), 96067 (user/list_id).
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.audit import record
from engine.batch import Batch
from engine.connectors.wecom.accounts import INSERT_ACCOUNT
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.answers import Member
from engine.connectors.wecom.client.errors import Barred, Unknown
from engine.connectors.wecom.contacts.difference import Account, Plan, Snapshot, Stored
from engine.connectors.wecom.contacts.matching import compare
from engine.connectors.wecom.models import WeComAccount, WeComCallback, WeComDepartment
from engine.db import Database
from engine.errors import Conflict, Forbidden, Unavailable
from engine.org import roles, staff_writing
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.models import Department, OrgRevision, Person

EVENT = "change_contact"
VERB, REFUSED = "contacts_sync", "contacts_refused"
MOST_DEPARTMENTS = 1_000
"""Each is one call to WeCom."""
NIGHT, NIGHTLY = range(2, 6), "nightly"  # hours of the local clock
_ALONE = frozenset({"event", NIGHTLY})
DAY = timedelta(days=1)
_TRIES = 3  # against contacts that change while they are read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What a synchronisation has written, and how much is left to decide."""

    created: int
    updated: int
    disabled: int
    enabled: int
    linked: int
    renamed: int
    vanished: int
    problems: int

    def __str__(self) -> str:
        """Return a line for the command line."""
        return (
            f"新增 {self.created}、更新 {self.updated}、停用 {self.disabled}、恢复 {self.enabled}；"
            f"关联账号 {self.linked}、改名 {self.renamed}、离开 {self.vanished}；待处理 {self.problems}"
        )


def require_admin(actor: Actor | None) -> None:
    """Raise Forbidden unless it is a system admin in person, or the command line (None)."""
    if actor is not None and (not actor.has(SYSTEM_ADMIN) or actor.scopes is not None):
        raise Forbidden("只有系统管理员可以同步通讯录", code="not_system_admin")


def client(db: Database) -> WeCom:
    """Return the client. Raises Conflict where WeCom, or the synchronisation, is switched off."""
    found = db.part(WeCom)
    if found is None:
        raise Conflict("没有配置企业微信，请设置 PIYUE_WECOM_ 开头的环境变量后重启", code="wecom_off")
    if found.settings.contacts == "off":
        raise Conflict("通讯录同步已关闭（PIYUE_WECOM_CONTACTS=off）", code="wecom_contacts_off")
    return found


def look(db: Database, actor: Actor | None) -> Plan:
    """Return what a whole synchronisation would do, without writing anything; one call per department.

    Raises Forbidden, Conflict where it is switched off, and what WeCom refuses (WeComError).
    """
    require_admin(actor)
    wecom = client(db)
    snapshot = fetch(wecom)
    with db.reading() as session:
        return _plan(session, wecom, snapshot)


def sync(
    db: Database,
    actor: Actor | None,
    *,
    by: str,
    confirmed: int = 0,
    expected: str | None = None,
    going_on: Callable[[], object] = lambda: None,
) -> tuple[Plan, Done]:
    """Bring our rows to what WeCom says, as a whole; returns what was done.

    `by` says on the trail who asked: page, command, nightly. `confirmed`: how many may vanish, where it is more than
    `Plan.allowed`. `expected`: the digest of the plan that somebody has looked at. `going_on` is called before each
    call. Raises Forbidden, Conflict (switched off; nobody there; too many vanish; another plan than looked at),
    Unavailable while the contacts keep changing, and what WeCom refuses.
    """
    require_admin(actor)
    wecom = client(db)
    for _ in range(_TRIES):
        with db.reading() as session:
            told = _newest_event(session)
        snapshot = fetch(wecom, going_on)
        with db.unit_of_work() as session:
            _lock(session)
            if _newest_event(session) != told:
                continue
            plan = _plan(session, wecom, snapshot)
            if expected is not None and plan.digest != expected:
                raise Conflict("通讯录的差异刚刚变了，请再看一遍", code="contacts_changed")
            refuse_many(session, actor, plan, confirmed, by)
            return plan, apply(session, actor, plan, by)
    raise Unavailable("企业微信通讯录正在变动，请过几分钟再同步", code="contacts_moving")


def fetch(wecom: WeCom, going_on: Callable[[], object] = lambda: None) -> Snapshot:
    """Ask WeCom for all departments and members; the ids of all, where a secret of the contacts is there.

    `going_on` is called before each call. Raises Conflict for an answer that can't be a hospital's, and what WeCom
    refuses.
    """
    going_on()
    departments = wecom.departments()
    if len(departments) > MOST_DEPARTMENTS:
        raise Conflict(f"企业微信返回 {len(departments)} 个部门，超过 {MOST_DEPARTMENTS} 个", code="contacts_too_many")
    members: dict[str, Member] = {}
    for department in departments:
        going_on()
        try:
            found = wecom.members(department.id)
        except (Barred, Unknown):  # outside of the visible scope: nothing is known of them
            continue
        members |= {member.userid.lower(): member for member in found}
    going_on()
    there = frozenset(members)
    if wecom.settings.contacts_secret.get_secret_value():
        there |= {userid.lower() for userid, _ in wecom.member_ids()}
    if not departments or not there:
        why = "企业微信没有返回任何部门或成员，没有同步。请检查应用的“可见范围”和 Secret"
        raise Conflict(why, code="contacts_empty")
    return Snapshot(tuple(departments), tuple(members.values()), there)


def stored(session: Session) -> Stored:
    """Read what we have."""
    accounts = session.execute(
        select(WeComAccount.userid_key, Person.staff_number, WeComAccount.userid, WeComAccount.vanished_at).join(
            Person, Person.id == WeComAccount.person_id
        )
    )
    departments = session.execute(
        select(WeComDepartment.id, Department.code).join(Department, Department.id == WeComDepartment.department_id)
    )
    found = {key: Account(number, userid, vanished) for key, number, userid, vanished in accounts}
    return Stored(staff_writing.load(session), found, dict(departments.all()), roles.officers(session))


def part(db: Database, snapshot: Snapshot, by: str) -> Done | None:
    """Bring our rows to what WeCom says of some members, or of the departments; None where nothing differs.

    Raises Conflict where too many have vanished within a day, one by one.
    """
    wecom = client(db)
    with db.unit_of_work() as session:
        _lock(session)
        plan = _plan(session, wecom, snapshot)
        if plan.empty:
            return None
        refuse_many(session, None, plan, 0, by)
        return apply(session, None, plan, by)


def _lock(session: Session) -> None:
    """Let one synchronisation after another, and no import meanwhile, change the organisation."""
    session.execute(select(OrgRevision.id).with_for_update())


def _newest_event(session: Session) -> int:
    """Return the newest change of contacts that WeCom has told us of, whether it is handled or not."""
    mine = select(func.max(WeComCallback.id)).where(WeComCallback.event == EVENT)
    return session.scalar(mine) or 0


def _plan(session: Session, wecom: WeCom, snapshot: Snapshot) -> Plan:
    matching = wecom.settings.match != "none"
    plan = compare(stored(session), snapshot, clock.now(), matching=matching)
    plan.lead = wecom.settings.contacts == "lead"
    return plan


def refuse_many(session: Session, actor: Actor | None, plan: Plan, confirmed: int, by: str) -> None:
    """Raise Conflict where more would vanish than may without somebody who has counted them; the trail tells.

    Those who vanished within the last day count too, where nobody looks on: events come one by one, and the night
    follows them.
    """
    if not plan.vanishing:
        return
    day = clock.now() - DAY
    lately = select(WeComAccount.person_id).where(WeComAccount.vanished_at > day)
    count = plan.vanishing + (len(session.scalars(lately).all()) if by in _ALONE else 0)
    if count <= max(plan.allowed, confirmed):
        return
    error = Conflict(
        f"将有 {count} 人离开企业微信，超过 {plan.allowed} 人，没有同步。"
        "请核对名单；确实如此的，在通讯录页面确认，或用 piyue wecom sync --confirm 人数",
        code="contacts_too_many_gone",
        vanishing=count,
        allowed=plan.allowed,
    )
    detail = {"by": by, "vanished": count, "allowed": plan.allowed}
    error.afterwards = lambda later: record(later, actor, REFUSED, detail, at=clock.now())
    raise error


def apply(session: Session, actor: Actor | None, plan: Plan, by: str) -> Done:
    """Write a plan that was made in this transaction, with its row of the trail."""
    if plan.lead:
        staff_writing.write(session, plan.org)
    _write_departments(session, plan)
    _write_links(session, plan)
    changes = [change.verb for change in plan.changes] if plan.lead else []
    links = [link.verb for link in plan.links if _there(plan, link.number)]
    done = Done(
        created=changes.count("create"),
        updated=changes.count("update"),
        disabled=changes.count("disable"),
        enabled=changes.count("enable"),
        linked=links.count("link"),
        renamed=links.count("rename"),
        vanished=links.count("vanish"),
        problems=len(plan.problems),
    )
    record(session, actor, VERB, {"by": by, "lead": plan.lead, **asdict(done)}, at=clock.now())
    return done


def _there(plan: Plan, number: str) -> bool:
    return plan.lead or number in plan.org.people.stored


def _write_departments(session: Session, plan: Plan) -> None:
    if plan.lead and plan.unmapped:
        session.execute(delete(WeComDepartment).where(WeComDepartment.id.in_(plan.unmapped)))
    rows = [
        {"id": id_, "department_id": plan.org.departments.ids[code]}
        for id_, code in plan.departments.items()
        if plan.lead or code in plan.org.departments.stored
    ]
    if rows:
        session.execute(insert(WeComDepartment), rows)


def _write_links(session: Session, plan: Plan) -> None:
    """Write what becomes of accounts; whoever left, came back or is another member now is verified anew."""
    ids = plan.org.people.ids
    for link in plan.links:  # first out of one another's way: A may be B now, and B be C
        if link.verb == "rename":
            mine = update(WeComAccount).where(WeComAccount.person_id == ids[link.number])
            session.execute(mine.values(userid_key=f"|{ids[link.number].hex}"))
    for link in plan.links:
        mine = update(WeComAccount).where(WeComAccount.person_id == ids[link.number])
        if link.verb == "vanish":
            session.execute(mine.values(vanished_at=plan.now, joined_at=None))
        elif link.verb == "back":
            session.execute(mine.values(vanished_at=None, joined_at=None))
        elif link.verb == "rename":
            session.execute(mine.values(userid=link.userid, userid_key=link.userid.lower(), joined_at=None))
    new = [
        {
            "person_id": ids[link.number],
            "userid": link.userid,
            "userid_key": link.userid.lower(),
            "joined_at": None,
        }
        for link in plan.links
        if link.verb == "link" and _there(plan, link.number)
    ]
    if new:
        batch = Batch()
        batch.add(INSERT_ACCOUNT, new)
        batch.run(session)


def nightly(db: Database) -> None:
    """Between 2 and 6 o'clock have our rows brought to what WeCom says, once a night; it repairs what events missed."""
    wecom = db.part(WeCom)
    now = clock.now().astimezone(clock.LOCAL)
    if wecom is None or wecom.settings.contacts == "off" or now.hour not in NIGHT:
        return
    with db.unit_of_work() as session:
        outbox.enqueue(session, "wecom", "contacts", "contacts", {}, idem_key=f"contacts:{now:%Y-%m-%d}")


@outbox.handler("wecom", "contacts", in_transaction=False)
def bring_into_step(db: Database, row: outbox.Leased) -> None:
    """Synchronise the whole, in one shard with the events; what is refused is a dead letter with the reason."""
    try:
        _, done = sync(db, None, by=NIGHTLY, going_on=lambda: outbox.renew(db, row))
    except Conflict as refusal:
        raise outbox.Permanent(refusal.message) from None
    log.info("contacts synchronised: vanished=%d problems=%d", done.vanished, done.problems)
