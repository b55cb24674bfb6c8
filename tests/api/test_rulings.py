"""Over HTTP: decisions are uploaded with their process, and the trail tells of them whom they may be told to."""

from tests.api.conftest import Api, Person
from tests.engine.bpm.contracts.test_rules import secretive


def test_uploaded_used_and_told_to_those_who_see_what_was_read(api: Api) -> None:
    admin, nurse, head = (api.person(who) for who in ("process_admin", "nurse", "hr_head"))
    files = [("files", (path, text.encode())) for path, text in secretive().items()]
    checked = admin.ask("POST", "/definitions/check", files=files)
    assert checked.json()["deployable"], checked.text
    assert admin.ask("POST", "/definitions", files=files).status_code == 201
    instance = api.start("nurse", "p", days=9, kind="病假")

    def said(person: Person) -> tuple[str, object]:
        entries = person.get(f"/instances/{instance}/timeline")["entries"]
        (entry,) = [e for e in entries if e["verb"] == "decide"]
        return entry["note"], entry["ruled"]

    sentence, ruled = said(nurse)
    assert sentence == "按决策表“审批级别”：第 2 条规则 → 院长"
    assert ruled == {"decision": "审批级别", "result": "院长", "hits": [{"decision": "审批级别", "rules": [2]}]}
    assert said(head) == ("", None)
    item = head.ask("GET", f"/work-items/{head.todo()}").text
    assert "院长" not in item
    assert "病假" not in item
    assert said(admin) == (sentence, ruled)
