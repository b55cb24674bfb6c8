"""What a person sets for themselves (本人设置): how the name is read, and whether others see the mobile number.

No import and no synchronisation touches it.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.errors import Forbidden, Invalid
from engine.org.actor import Actor
from engine.org.models import Person
from engine.org.pinyin import is_reading, search_keys


@dataclass(frozen=True, slots=True)
class Own:
    """A person's own settings: `reading` is empty where the name is read as the tables say."""

    reading: str
    mobile_hidden: bool


def own(session: Session, viewer: Actor) -> Own:
    """Return the viewer's settings."""
    person = session.get_one(Person, viewer.person_id)
    return Own(person.pinyin_override, person.mobile_hidden)


def set_own(session: Session, actor: Actor, settings: Own) -> None:
    """Keep the actor's settings; the name is found by the new reading at once.

    Raises Invalid for what is no reading, Forbidden for another system.
    """
    if actor.token_id is not None:
        raise Forbidden("系统账号没有本人设置", code="token_not_allowed")
    reading = " ".join(settings.reading.split())
    if reading and not is_reading(reading):
        message = "姓名读音请填拼音，姓在前，音节之间用空格，例如 zeng wei，最多 60 个字母"
        raise Invalid(message, code="bad_reading", errors=[{"place": "reading", "message": message}])
    person = session.get_one(Person, actor.person_id)
    if person.pinyin_override != reading:
        person.pinyin_override, person.pinyin = reading, search_keys(person.name, reading)
    person.mobile_hidden = settings.mobile_hidden
    session.flush()
