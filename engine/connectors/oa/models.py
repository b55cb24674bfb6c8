"""Tables of the OA connector: what each OA shows of ours, who is who there, what waits there, what was compared."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, LargeBinary, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id

UNMAPPED, REFUSED, IGNORED = "unmapped", "refused", "ignored"
"""Problems of an item: the OA has nobody by the account, refuses the item, or isn't to have the person's items."""

_BIGID = BigInteger().with_variant(Integer(), "sqlite")

# as `mirroring.BEHIND` asks
_BEHIND = "sending <> '' OR (wanted <> shown AND (wanted IN ('todo', 'read') OR shown NOT IN ('', 'deleted')))"


class OAItem(Base):
    """One work item as one OA is to show it, and as it was last told to (镜像). Names are frozen when it is written.

    States are those of `adapters.protocol.State`; "" is none. Written by `mirroring`, `pushing` and `loading` alone.
    """

    __tablename__ = "oa_item"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("work_item.id"), primary_key=True)
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    sender_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    account: Mapped[str] = mapped_column(String(80), default="", server_default="")  # frozen at the first push
    title: Mapped[str] = mapped_column(String(200))
    workflow: Mapped[str] = mapped_column(String(80))
    node: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(8))
    urgency: Mapped[int]
    started_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    wanted: Mapped[str] = mapped_column(String(10))  # what our rows say, as of the last diff
    shown: Mapped[str] = mapped_column(String(10), default="", server_default="")  # what the OA has confirmed
    sending: Mapped[str] = mapped_column(String(10), default="", server_default="")  # sent, with no known end
    seq: Mapped[int] = mapped_column(default=1, server_default="1")  # one more with each diff
    stamp: Mapped[int] = mapped_column(_BIGID, default=0, server_default="0")  # ms: the last receivets
    quiet: Mapped[bool] = mapped_column(default=False, server_default=false())  # the next push doesn't notify
    doubtful_at: Mapped[datetime | None]  # when an attempt ended unknown: looked at again 2 min later
    problem: Mapped[str] = mapped_column(String(10), default="", server_default="")  # see above
    reason: Mapped[str] = mapped_column(String(200), default="", server_default="")
    changed_at: Mapped[datetime]  # the last diff
    shown_at: Mapped[datetime | None]  # the last confirmed push

    __table_args__ = (
        Index("ix_oa_item_item", "item_id"),
        Index("ix_oa_item_instance", "instance_id", "site"),
        Index(
            "ix_oa_item_shown",  # partial, so that it is used for nothing but the last push
            "site",
            "shown_at",
            postgresql_where=text("shown_at IS NOT NULL"),
            sqlite_where=text("shown_at IS NOT NULL"),
        ),
        Index(
            "ix_oa_item_open",
            "site",
            "person_id",
            postgresql_where=text("wanted IN ('todo', 'read') OR shown IN ('todo', 'read')"),
            sqlite_where=text("wanted IN ('todo', 'read') OR shown IN ('todo', 'read')"),
        ),
        Index(
            "ix_oa_item_behind",
            "site",
            "item_id",
            postgresql_where=text(_BEHIND),
            sqlite_where=text(_BEHIND),
        ),
        Index(
            "ix_oa_item_doubtful",
            "doubtful_at",
            postgresql_where=text("doubtful_at IS NOT NULL"),
            sqlite_where=text("doubtful_at IS NOT NULL"),
        ),
        Index(
            "ix_oa_item_problem",
            "site",
            "person_id",
            "problem",
            postgresql_where=text("problem <> ''"),
            sqlite_where=text("problem <> ''"),
        ),
    )


class OAAccount(Base):
    """Who a person is in one OA, where that doesn't follow from our own records (账号对照)."""

    __tablename__ = "oa_account"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    account: Mapped[str] = mapped_column(String(80))
    account_key: Mapped[str] = mapped_column(String(80))  # lower case, as it is compared
    set_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    set_at: Mapped[datetime]

    __table_args__ = (Index("uq_oa_account_key", "site", "account_key", unique=True),)


class OALoad(Base):
    """The first load (首次装载) of a site: what was open before it was connected, page by page."""

    __tablename__ = "oa_load"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))  # running, paused, done
    after: Mapped[uuid.UUID | None]  # the last item that was looked at; the next page begins behind it
    until: Mapped[uuid.UUID | None]  # the newest item when it began: younger ones come by themselves; None: needless
    total: Mapped[int]  # open items when it began
    queued: Mapped[int] = mapped_column(default=0)  # written for pushing so far
    started_at: Mapped[datetime]
    started_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))  # None: the command line
    ended_at: Mapped[datetime | None]


class OACheck(Base):
    """One reconciliation (对账) of a site; its findings hang below it."""

    __tablename__ = "oa_check"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    site: Mapped[str] = mapped_column(String(11))
    state: Mapped[str] = mapped_column(String(8))  # running, done, failed
    repair: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime]
    started_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    by: Mapped[str] = mapped_column(String(8))  # nightly, person, command
    ended_at: Mapped[datetime | None]
    after: Mapped[uuid.UUID | None]  # the last person whose lists were compared: it resumes behind them
    people: Mapped[int] = mapped_column(default=0)  # compared
    unread: Mapped[int] = mapped_column(default=0)  # whose lists the OA didn't give
    items: Mapped[int] = mapped_column(default=0)  # open with us
    missing: Mapped[int] = mapped_column(default=0)
    ghost: Mapped[int] = mapped_column(default=0)
    stale: Mapped[int] = mapped_column(default=0)
    repaired: Mapped[int] = mapped_column(default=0)
    capped: Mapped[int] = mapped_column(default=0)  # findings left alone because the cap was reached
    reason: Mapped[str] = mapped_column(String(400), default="")  # why it failed, or could see one side only

    __table_args__ = (Index("ix_oa_check_site", "site", "started_at"),)


class OAFinding(Base):
    """A difference that a reconciliation found (差异)."""

    __tablename__ = "oa_finding"

    id: Mapped[int] = mapped_column(_BIGID, Identity(), primary_key=True)
    check_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("oa_check.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))  # missing 漏, ghost 幽灵, stale 陈旧
    side: Mapped[str] = mapped_column(String(6))  # ours: our record of the OA is behind; theirs: the OA's list
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id"))
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    account: Mapped[str] = mapped_column(String(80), default="")
    title: Mapped[str] = mapped_column(String(200), default="")
    detail: Mapped[str] = mapped_column(String(200), default="")
    result: Mapped[str] = mapped_column(String(8), default="")  # "", repaired, capped, unable


class OAEntry(Base):
    """An item of the OA's own that waits for a person there, or was handled there (OA 待办)."""

    __tablename__ = "oa_entry"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    site: Mapped[str] = mapped_column(String(11))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    request_id: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(300))
    workflow: Mapped[str] = mapped_column(String(120), default="")
    node: Mapped[str] = mapped_column(String(120), default="")
    sender: Mapped[str] = mapped_column(String(80), default="")
    link: Mapped[str] = mapped_column(String(1000))
    mobile_link: Mapped[str] = mapped_column(String(1000), default="")
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]  # as the OA tells it; None where it waits, and where the OA doesn't tell
    arrived_at: Mapped[datetime]  # where it stands in its list: handled, where the OA tells that, else received
    seen_at: Mapped[datetime]  # when the OA's list last held it
    gone_at: Mapped[datetime | None]  # when the list held it no more, or another one did

    __table_args__ = (
        Index("uq_oa_entry", "site", "person_id", "request_id", "state", unique=True),
        Index(
            "ix_oa_entry_waiting",
            "person_id",
            "received_at",
            postgresql_where=text("gone_at IS NULL AND state IN ('todo', 'read')"),
            sqlite_where=text("gone_at IS NULL AND state IN ('todo', 'read')"),
        ),
        Index(
            "ix_oa_entry_handled",
            "person_id",
            "arrived_at",
            "id",
            postgresql_where=text("gone_at IS NULL AND state IN ('done', 'finished')"),
            sqlite_where=text("gone_at IS NULL AND state IN ('done', 'finished')"),
        ),
    )


class OAPoll(Base):
    """When a person's lists in an OA were last asked for (轮询)."""

    __tablename__ = "oa_poll"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    account: Mapped[str | None] = mapped_column(String(80))  # whose lists are kept, None where nobody's
    polled_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    handled_to: Mapped[datetime | None]  # what was handled there is known up to here
    failures: Mapped[int] = mapped_column(default=0)  # looks given up in a row
    error: Mapped[str] = mapped_column(String(200), default="")  # of the last attempt, "" where it went well

    __table_args__ = (Index("ix_oa_poll_due", "site", "due_at"),)


class OATaken(Base):
    """Something handled in the OA that was taken in (已接收): each once, whatever windows overlap."""

    __tablename__ = "oa_taken"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)  # the item's
    account: Mapped[str] = mapped_column(String(80), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(40))
    opinion: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]
    taken_at: Mapped[datetime]
    result: Mapped[str] = mapped_column(String(200), default="")


class OAPass(Base):
    """A signature or ticket that has let somebody in (单点登录凭据): none does so twice."""

    __tablename__ = "oa_pass"

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    site: Mapped[str] = mapped_column(String(11))
    used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OARefusal(Base):
    """How many signatures and tickets from one address an OA hasn't stood for (单点登录失败): too many lock it out."""

    __tablename__ = "oa_refusal"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)  # an address, of IPv6 the /64
    failures: Mapped[int]
    until: Mapped[datetime] = mapped_column(index=True)


class OAQuick(Base):
    """How far a site has been asked what people handled of ours there (快速审批): account by account, in rounds.

    What was handled before `known_to` is known of everybody.
    """

    __tablename__ = "oa_quick"

    site: Mapped[str] = mapped_column(String(11), primary_key=True)
    after: Mapped[str] = mapped_column(String(80), default="")  # the last account of this round that was asked for
    began_at: Mapped[datetime]  # this round
    asked_at: Mapped[datetime]
    known_to: Mapped[datetime]
