"""An item as pushing hands it to an adapter, and a listener in an OA's place that gets it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.protocol import Adapter, Todo
from tests.engine.connectors.conftest import Listener, Raw

TITLE = "王小明的年假申请"
PASSWORD = "canary-password-of-the-oa"
LANDRAY = "/sys/webservice/sysNotifyTodoWebService"
WEAVER = "/services/OfsTodoDataWebService"
_ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
_SETTINGS: dict[str, dict[str, Any]] = {
    "landray": {"app_name": "Piyue", "user": "piyue", "password": PASSWORD},
    "weaver": {"syscode": "piyue"},
}


def item(number: int = 1, **changed: Any) -> Todo:
    """Return an item of 李医生's."""
    given: dict[str, Any] = {
        "key": f"{number:032x}",
        "account": "2001",
        "person": "李医生",
        "title": TITLE,
        "workflow": "请假",
        "node": "科室审批",
        "sender": "王护士",
        "sender_account": "2002",
        "urgency": 0,
        "started_at": datetime(2026, 3, 1, 23, 0, tzinfo=UTC),
        "opened_at": datetime(2026, 3, 2, 1, 30, tzinfo=UTC),
        "link": "https://piyue.example/oa/ekp/1",
        "mobile_link": "https://piyue.example/oa/ekp/1?m=1",
        "kind": "decide",
    }
    return Todo(**given | changed)


def listening(listener: Listener, kind: str, folder: Path, **changed: Any) -> Adapter:
    """Return the adapter of a site whose OA is the listener."""
    settings, made = KINDS[kind]
    given = {"kind": kind, "code": "ekp", "folder": folder, "name": "集团 OA", "address": listener.url, "timeout": 2}
    site = settings.model_validate(given | _SETTINGS[kind.partition(".")[0]] | changed)
    return made(site, lambda: None)


def envelope(inside: str, status: int = 200) -> Raw:
    """Return a SOAP answer."""
    return Raw(_ENVELOPE.format(inside).encode(), status, (("Content-Type", "text/xml;charset=UTF-8"),))


def fault(message: str, code: str = "e:Server") -> Raw:
    """Return a SOAP fault."""
    told = f"<e:Fault><faultcode>{code}</faultcode><faultstring>{message}</faultstring></e:Fault>"
    return envelope(told, 500)


def landray(operation: str, state: int, message: str = "") -> Raw:
    """Return what Landray answers to an operation."""
    told = f"<return><message>{message}</message><returnState>{state}</returnState></return>"
    space = 'xmlns:n="http://webservice.notify.sys.kmss.landray.com/"'
    return envelope(f"<n:{operation}Response {space}>{told}</n:{operation}Response>")
