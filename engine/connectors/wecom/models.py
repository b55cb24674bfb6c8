"""Tables of the WeCom connector: who is who, who is coming in, what was sent, what came in."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, SmallInteger, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id

_BIGID = BigInteger().with_variant(Integer(), "sqlite")


class WeComAccount(Base):
    """A member of the corp (企业微信成员) as a person of ours."""

    __tablename__ = "wecom_account"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    userid: Mapped[str] = mapped_column(String(64))  # as WeCom spells it
    userid_key: Mapped[str] = mapped_column(String(64), unique=True)  # lower case: WeCom doesn't tell cases apart
    joined_at: Mapped[datetime | None]  # first entered, and verified where that is demanded
    vanished_at: Mapped[datetime | None]  # no member any more, or barred there (企业微信中已离职或禁用)
    by_hand: Mapped[bool] = mapped_column(default=False, server_default=false())  # by somebody else, not entered since


class WeComDepartment(Base):
    """A department of WeCom's contacts as one of ours (部门对应); its top level is the hospital itself."""

    __tablename__ = "wecom_department"

    id: Mapped[int] = mapped_column(_BIGID, primary_key=True, autoincrement=False)  # WeCom's
    department_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("department.id"), unique=True)


class WeComBoard(Base):
    """What a person's workbench shows of theirs (工作台数字): what was pushed last, and when."""

    __tablename__ = "wecom_board"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    shown: Mapped[str] = mapped_column(String(200))  # what was sent, as `workbench` writes it; of another agent: anew
    pushed_at: Mapped[datetime]


class WeComEntry(Base):
    """A state that has come back from WeCom to its browser (进入): it is used up, and somebody may be joining by it."""

    __tablename__ = "wecom_entry"

    state_hash: Mapped[bytes] = mapped_column(primary_key=True)
    browser_hash: Mapped[bytes]  # of the token in the browser's cookie
    target: Mapped[str] = mapped_column(String(1000))  # the page of ours that was asked for
    created_at: Mapped[datetime]  # when it came back
    expires_at: Mapped[datetime] = mapped_column(index=True)  # of the state, or of the joining
    # where the person must prove who they are before the first session: who WeCom says it is, and as whom
    userid: Mapped[str] = mapped_column(String(64), default="", server_default="")
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")  # to name oneself


class WeComCode(Base):
    """A code sent to somebody who joins (验证码); it isn't kept, but follows from the id and a key."""

    __tablename__ = "wecom_code"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    userid: Mapped[str] = mapped_column(String(64))  # the member to whom it gives the account
    way: Mapped[str] = mapped_column(String(4))  # sms, mail
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_wecom_code_person", "person_id", "sent_at"),)


class WeComPreference(Base):
    """What a person wants to be told in WeCom, and when (消息偏好、免打扰)."""

    __tablename__ = "wecom_preference"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    muted: Mapped[str] = mapped_column(String(200), default="")  # kinds of notices, space separated
    quiet_from: Mapped[int | None] = mapped_column(SmallInteger)  # minutes of the local day; both or neither
    quiet_to: Mapped[int | None] = mapped_column(SmallInteger)


class WeComDelivery(Base):
    """A notice as it was sent to one person (发送记录), and what its card shows now."""

    __tablename__ = "wecom_delivery"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    notice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("notice.id"), unique=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    instance_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("instance.id"))
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id"))
    form: Mapped[str] = mapped_column(String(10))  # card, text, digest, held, none (muted, no account …: `reason`)
    task_id: Mapped[str | None] = mapped_column(String(128))  # of the card; sends alike share one
    msgid: Mapped[str | None] = mapped_column(String(200))
    response_code: Mapped[str | None] = mapped_column(String(400))  # the newest unused: from the send or a click
    code_at: Mapped[datetime | None]  # when it was given: it lasts 72 h
    shown: Mapped[str] = mapped_column(String(200), default="")  # what the card says now, as `cards.state` puts it
    reason: Mapped[str] = mapped_column(String(200), default="")
    sent_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_wecom_delivery_instance", "instance_id"),
        Index("ix_wecom_delivery_task", "task_id"),
        Index("ix_wecom_delivery_person", "person_id", "sent_at"),
        Index(
            "ix_wecom_delivery_waiting",
            "person_id",
            "form",
            postgresql_where=text("form IN ('held', 'digest') AND shown IN ('', 'again')"),
            sqlite_where=text("form IN ('held', 'digest') AND shown IN ('', 'again')"),
        ),
    )


class WeComChat(Base):
    """The group chat about an instance (群聊); its id in WeCom is the instance's, in hexadecimal digits."""

    __tablename__ = "wecom_chat"

    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))  # who asked for it
    members: Mapped[str] = mapped_column(Text, default="")  # userids that WeCom was told, space separated
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]  # when WeCom made it


class WeComCallback(Base):
    """What WeCom has called us with (回调): kept as it came, decrypted, and handled by the worker."""

    __tablename__ = "wecom_callback"

    id: Mapped[int] = mapped_column(_BIGID, Identity(), primary_key=True)
    signature: Mapped[str] = mapped_column(String(64), unique=True)  # msg_signature: the same call again is a replay
    event_key: Mapped[str] = mapped_column(String(64), unique=True)  # digest of what says that two are one event
    event: Mapped[str] = mapped_column(String(40))  # template_card_event, change_contact …
    body: Mapped[str] = mapped_column(Text)  # JSON of the decrypted XML
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    result: Mapped[str] = mapped_column(String(200), default="")

    __table_args__ = (
        Index(
            "ix_wecom_callback_open",
            "id",
            postgresql_where=text("handled_at IS NULL"),
            sqlite_where=text("handled_at IS NULL"),
        ),
    )
