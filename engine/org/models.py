"""Tables of the organisation (组织机构): departments, people, memberships, roles, logins."""

import enum
import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id


class DepartmentKind(enum.StrEnum):
    """Kind of a department (部门类别)."""

    LEADERSHIP = "leadership"  # 院领导
    OFFICE = "office"  # 职能科室
    CLINICAL = "clinical"  # 临床
    MEDICAL_TECH = "medical_tech"  # 医技


class Department(Base):
    """A department (科室/部门); the tree has up to three levels."""

    __tablename__ = "department"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("department.id"), index=True)
    head_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id", use_alter=True))  # 负责人
    director_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id", use_alter=True))  # 分管院领导
    sort: Mapped[int] = mapped_column(default=0)
    disabled_at: Mapped[datetime | None]


class Person(Base):
    """A member of staff (职工). Never deleted: who left is disabled."""

    __tablename__ = "person"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    staff_number: Mapped[str] = mapped_column(String(20), unique=True)  # 工号, also the login
    name: Mapped[str] = mapped_column(String(40))
    pinyin: Mapped[str] = mapped_column(String(200), default="")  # search keys, see engine.org.pinyin; sorts by name
    department_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("department.id"), index=True)
    post: Mapped[str] = mapped_column(String(40), default="")  # 岗位, e.g. 护士
    rank: Mapped[int] = mapped_column(default=100)  # 排序: opinions and lists are sorted by it, smaller first
    superior_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))  # 直接上级 where it is not the head
    pinyin_override: Mapped[str] = mapped_column(String(60), default="", server_default="")  # the person's own reading
    mobile: Mapped[str] = mapped_column(String(20), default="")
    mobile_hidden: Mapped[bool] = mapped_column(default=False, server_default=false())  # 不公开手机号
    email: Mapped[str] = mapped_column(String(120), default="")
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    # 系统账号: another system, see engine.org.system_accounts
    system: Mapped[bool] = mapped_column(default=False, server_default=false())
    disabled_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_person_name", "name"),)


class Membership(Base):
    """A person's part-time place in a further department (兼职); the main one is on the person."""

    __tablename__ = "membership"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    department_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("department.id"), primary_key=True, index=True)
    post: Mapped[str] = mapped_column(String(40), default="")


class Role(Base):
    """A role (角色): who may do what, or who handles which step, e.g. hr_clerk 人事科经办."""

    __tablename__ = "role"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(10), default="business")  # business 业务, system 系统, group 用户组


class RoleMember(Base):
    """A person in a role, everywhere or for one department only (department_id)."""

    __tablename__ = "role_member"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    role: Mapped[str] = mapped_column(ForeignKey("role.code"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    department_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("department.id"))

    __table_args__ = (
        UniqueConstraint("role", "person_id", "department_id"),
        # a unique constraint takes two NULLs for different
        Index(
            "uq_role_member_everywhere",
            "role",
            "person_id",
            unique=True,
            postgresql_where=text("department_id IS NULL"),
            sqlite_where=text("department_id IS NULL"),
        ),
    )


class OrgRevision(Base):
    """Which state of the organisation this is (机构版本): one row that triggers change, see engine.org.directory."""

    __tablename__ = "org_revision"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    revision: Mapped[uuid.UUID]


class LoginSession(Base):
    """A browser's login (会话); the cookie holds the token, the table only its hash."""

    __tablename__ = "login_session"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")


class KnownDevice(Base):
    """A browser in which a person has logged in by password (已知设备): guesses made elsewhere don't lock it out."""

    __tablename__ = "known_device"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class WrongPassword(Base):
    """Wrong passwords for a person from one source (密码输错), counted until a moment: see engine.org.guesses."""

    __tablename__ = "wrong_password"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int]
    until: Mapped[datetime] = mapped_column(index=True)


class ServiceToken(Base):
    """Another system's key to the API (服务令牌): hashed, scoped, expiring; acts as the system account `person_id`."""

    __tablename__ = "service_token"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[str] = mapped_column(String(400))  # space separated, e.g. "instances:start instances:read"
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    created_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
