"""Logging in and out (登录): by password; in the demo by picking a person."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import Field

from api.deps import Anybody, Call, Router, Visit, allowed, keep_login, render, set_cookie
from api.schemas import Answer, Body, Text
from engine.org import auth, demo
from engine.org.auth import Login

router = Router("登录")


class LoginBody(Body):
    """Staff number (工号) and password."""

    staff_number: Text = Field(min_length=1, max_length=20, examples=["10027"])
    password: Text = Field(min_length=1, max_length=512, examples=["correct horse battery"])


class DemoLoginBody(Body):
    """Whom to be in the demo."""

    staff_number: Text = Field(min_length=1, max_length=20, examples=["10027"])


class PasswordBody(Body):
    """One's old password and the new one: 10 to 128 characters."""

    old_password: Text = Field(max_length=512, examples=["correct horse battery"])
    new_password: Text = Field(max_length=512, examples=["另一个 staple 密码 2026"])


class LoggedIn(Answer):
    """The session is in the cookie; `csrf` goes into the header X-CSRF-Token of what changes something."""

    csrf: str = Field(examples=["kD0yUu2sJmW0c8m1v6Yd4QzH3tXn5rLb7pAe9fGi"])


class DemoPerson(Answer):
    """A person of the demo hospital whom one may be."""

    staff_number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    label: str = Field(examples=["儿科护士"])


class DemoPeople(Answer):
    """The people of the demo; empty where nobody can be picked."""

    demo: bool
    people: list[DemoPerson]


@router.post("/session", summary="用工号和密码登录", response_model=LoggedIn)
def login(call: Anybody, body: LoginBody) -> Response:
    """Open a session; wrong passwords in a row lock the person for a while."""
    opened = auth.login(call.session, body.staff_number, body.password, **call.browser())
    return _kept(call, opened)


@router.post("/session/demo", summary="演示环境：选一个人登录", response_model=LoggedIn)
def demo_login(call: Anybody, body: DemoLoginBody) -> Response:
    """Open a session without a password; only in demo mode."""
    opened = auth.login_as(call.session, body.staff_number, demo=call.settings.demo, **call.browser())
    return _kept(call, opened)


@router.get("/session/demo", summary="演示环境：可以登录的人")
def demo_people(call: Anybody) -> DemoPeople:
    """List whom one may be; nobody outside the demo."""
    people = [DemoPerson.model_validate(member) for member in demo.CAST.values()] if call.settings.demo else []
    return DemoPeople(demo=call.settings.demo, people=people)


@router.delete("/session", summary="退出登录", status_code=204)
def logout(call: Annotated[Call, Depends(allowed(None))]) -> Response:
    """End the session and remove its cookie."""
    auth.logout(call.session, call.actor, call.cookie or "")
    answer = Response(status_code=204)
    set_cookie(answer, call.settings, "", max_age=0)
    return answer


@router.put("/session/password", summary="修改自己的密码", status_code=204)
def change_password(call: Annotated[Call, Depends(allowed(None))], body: PasswordBody) -> None:
    """Set one's own password; all other sessions of the person end."""
    person = call.actor.person_id
    auth.set_password(call.session, call.actor, person, body.new_password, old=body.old_password, token=call.cookie)


def _kept(call: Visit, opened: Login) -> Response:
    answer = render(LoggedIn.model_validate(opened.session))
    keep_login(answer, call.settings, opened)
    return answer
