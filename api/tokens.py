"""Service tokens (服务令牌): other systems' keys to this API, and the system accounts (系统账号) that they act as."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from pydantic import BeforeValidator, Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Moment, Text
from engine.org import service_tokens, system_accounts

router = Router("服务令牌")

Admin = Annotated[Call, Depends(allowed(None))]


def _words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


class TokenOut(Answer):
    """A token without its text, which nobody sees a second time."""

    id: uuid.UUID
    name: str = Field(examples=["挂号系统"])
    scopes: Annotated[list[str], BeforeValidator(_words)] = Field(examples=[["instances:start", "instances:read"]])
    person_id: uuid.UUID
    created_by: uuid.UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenList(Answer):
    """All tokens, newest first."""

    tokens: list[TokenOut]


class AccountOut(Answer):
    """A system account: another system as a row among the people."""

    id: uuid.UUID
    number: str = Field(validation_alias="staff_number", examples=["SYS-HIS"])
    name: str = Field(examples=["挂号系统"])
    department_id: uuid.UUID


class AccountList(Answer):
    """All system accounts by number."""

    accounts: list[AccountOut]


class NewAccountBody(Body):
    """The other system, and the department that answers for it."""

    number: Text = Field(max_length=20, examples=["SYS-HIS"])
    name: Text = Field(max_length=40, examples=["挂号系统"])
    department: Text = Field(max_length=40, description="部门编码", examples=["XX"])


class NewTokenBody(Body):
    """As which system account the other system acts, and what it may do."""

    name: Text = Field(max_length=80, examples=["挂号系统"])
    person_id: uuid.UUID = Field(description="系统账号的编号（id），不能是职工")
    scopes: list[Text] = Field(min_length=1, max_length=20, examples=[["instances:start", "instances:read"]])
    expires_at: Moment | None = None


class NewTokenOut(Answer):
    """The new token; `secret` is shown this once."""

    token: TokenOut
    secret: str = Field(examples=["pyt_0aJ3kq9ZrT8vW2xY5bC7dE1fG4hI6jK"])


@router.get("/service-tokens", summary="所有服务令牌")
def list_tokens(call: Admin) -> TokenList:
    """List the tokens, revoked ones too."""
    found = service_tokens.service_tokens(call.session, call.actor)
    return TokenList(tokens=[TokenOut.model_validate(row) for row in found])


@router.post("/service-tokens", summary="新建服务令牌", status_code=201)
def create(call: Admin, body: NewTokenBody) -> NewTokenOut:
    """Create a token that acts as a system account, narrowed to scopes."""
    row, secret = service_tokens.create_service_token(
        call.session, call.actor, body.name, body.person_id, body.scopes, body.expires_at
    )
    return NewTokenOut(token=TokenOut.model_validate(row), secret=secret)


@router.delete("/service-tokens/{token_id}", summary="撤销服务令牌", status_code=204)
def revoke(call: Admin, token_id: uuid.UUID) -> None:
    """Revoke a token for good."""
    service_tokens.revoke_service_token(call.session, call.actor, token_id)


@router.get("/system-accounts", summary="所有系统账号")
def list_accounts(call: Admin) -> AccountList:
    """List the system accounts."""
    found = system_accounts.system_accounts(call.session, call.actor)
    return AccountList(accounts=[AccountOut.model_validate(row) for row in found])


@router.post("/system-accounts", summary="新建系统账号", status_code=201)
def create_account(call: Admin, body: NewAccountBody) -> AccountOut:
    """Create a system account, for service tokens to act as."""
    row = system_accounts.create_system_account(call.session, call.actor, body.number, body.name, body.department)
    return AccountOut.model_validate(row)
