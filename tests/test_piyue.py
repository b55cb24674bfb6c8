"""The command line: from an empty database to people who log in and processes that run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner, Result

import piyue
from cli.databases import open_database
from engine import sealing
from engine.bpm.models import ActionLog, Process
from engine.connectors.wecom.models import WeComAccount
from engine.db import Database
from engine.errors import Conflict, Invalid, Unauthenticated
from engine.org import auth
from engine.org.actor import ADMIN
from engine.org.models import Person
from engine.org.queries import actor_for
from engine.org.roles import ROLES, numbered
from engine.org.spreadsheet import write_workbook
from engine.org.staff_template import DEPARTMENTS, PEOPLE
from engine.settings import ROOT, Settings
from sandbox.wecom.records import Member
from sandbox.wecom.server import Running
from tests.dsl import bpmn, chain

PASSWORD = "一个 好 长 的 密码 2026"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A production installation with an empty database."""
    monkeypatch.setenv("PIYUE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("PIYUE_DATABASE_URL", f"sqlite:///{tmp_path / 'var' / 'piyue.db'}")
    monkeypatch.setenv("PIYUE_SECRET_KEY", "k" * 40)
    return tmp_path


@pytest.fixture
def db(home: Path) -> Iterator[Database]:
    """Its database, migrated, with a small hospital."""
    assert run("db", "upgrade").exit_code == 0
    assert run("staff", "import", str(staff(home))).exit_code == 0
    database = Database(f"sqlite:///{home / 'var' / 'piyue.db'}")
    yield database
    database.dispose()


def tell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Run a command that is refused, as the operator does; return the lines that are told."""
    monkeypatch.setattr("sys.argv", ["piyue", *arguments])
    with pytest.raises(SystemExit) as ended:
        piyue.main()
    assert ended.value.code == 1
    return capsys.readouterr().err.splitlines()


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(piyue.app, arguments, input=given)


STAFF = (("1001", "张一", "YB"), ("1002", "李二", "YB"))


def staff(folder: Path, head: str = "1001", rows: Sequence[Sequence[str]] = STAFF) -> Path:
    """Write a staff workbook."""
    departments = {"部门编码": 12, "部门名称": 12, "部门类别": 12, "负责人工号": 12}
    people = {"工号": 12, "姓名": 12, "部门编码": 12}
    sheets = {
        DEPARTMENTS: (departments, [["YB", "院办", "职能科室", head]]),
        PEOPLE: (people, [list(row) for row in rows]),
    }
    path = folder / "人员.xlsx"
    path.write_bytes(write_workbook(sheets, []))
    return path


def test_production_starts_from_the_command_line(db: Database) -> None:
    assert run("staff", "grant", "1001", ADMIN).exit_code == 0
    assert run("staff", "password", "1001", given=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    with db.unit_of_work() as session:
        opened = auth.login(session, "1001", PASSWORD)
    with db.reading() as session:
        actor, _ = auth.authenticate(session, opened.token)
    assert (actor.name, actor.roles) == ("张一", frozenset({ADMIN}))
    shipped = sorted(p.parent for p in (ROOT / "processes").glob("*/process.bpmn"))
    for folder in shipped:
        assert run("process", "deploy", str(folder)).exit_code == 0
    with db.reading() as session:
        assert set(session.scalars(select(Process.key))) == {folder.name for folder in shipped}


def test_what_is_done_here_is_on_the_trail_and_verified(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run("staff", "grant", "1001", ADMIN)
    run("staff", "revoke", "1001", ADMIN)
    run("staff", "password", "1001", "--stdin", given=f"{PASSWORD}\n")
    made = run("staff", "system", "SYS-HIS", "挂号系统", "--department", "YB")
    assert "系统账号 挂号系统（SYS-HIS）已建立" in made.output
    run("process", "deploy", str(ROOT / "processes" / "seal_use"))
    with db.reading() as session:
        told = list(session.scalars(select(ActionLog.verb).order_by(ActionLog.id)))
    assert told == ["staff_import", "role_grant", "role_revoke", "password", "account_create", "deploy"]
    verified = run("audit", "verify")
    assert (verified.exit_code, verified.output) == (
        0,
        "共 6 条办理记录，0 条被改动\n已封存 0 条，未封存 6 条，0 处不符\n",
    )
    with db.unit_of_work() as session:
        session.execute(update(ActionLog).where(ActionLog.verb == "role_grant").values(detail="{}"))
    assert run("audit", "verify").exit_code == 1


def test_roles_are_listed_granted_and_revoked(db: Database) -> None:
    run("staff", "grant", "1001", "seal_keeper", "--department", "YB")
    run("staff", "grant", "1002", "seal_keeper")
    listed = {line.split()[0]: line.split()[1:] for line in run("staff", "roles").output.splitlines()}
    assert set(listed) == set(ROLES)
    assert (listed["seal_keeper"], listed["archivist"]) == (["2", "人", "印章管理员"], ["0", "人", "档案员"])
    assert run("staff", "revoke", "1002", "seal_keeper").exit_code == 0
    with db.reading() as session:
        person = numbered(session, "1002")
        assert actor_for(session, person.id).roles == frozenset()
    assert isinstance(run("staff", "revoke", "1001", "seal_keeper").exception, Conflict)
    assert run("staff", "revoke", "1001", "seal_keeper", "--department", "YB").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        (["password", "1001"], f"{PASSWORD}\nx{PASSWORD}\n", "password_differs"),
        (["password", "1001", "--stdin"], "12345\n", "weak_password"),
        (["password", "9999", "--stdin"], f"{PASSWORD}\n", "unknown_person"),
        (["grant", "1001", "nothing"], "", "unknown_role"),
        (["grant", "1001", ADMIN, "--department", "ZZ"], "", "unknown_department"),
    ],
)
def test_refusals(db: Database, arguments: list[str], given: str, code: str) -> None:
    refused = run("staff", *arguments, given=given).exception
    assert isinstance(refused, Invalid)
    assert refused.code == code
    with db.unit_of_work() as session, pytest.raises(Unauthenticated):
        auth.login(session, "1001", PASSWORD)


def test_a_password_from_standard_input_is_not_shown(db: Database) -> None:
    result = run("staff", "password", "1002", "--stdin", given=f"{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    with db.unit_of_work() as session:
        assert auth.login(session, "1002", PASSWORD).token


def test_an_import_tells_what_it_did_and_every_mistake_by_its_place(
    db: Database, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("staff", "import", str(staff(home))).output == "新增 0、更新 0、不变 3、停用 0\n"
    told = tell(monkeypatch, capsys, "staff", "import", str(staff(home, head="7777")))
    assert told[0].startswith("错误：文件有 1 处错误")
    assert told[1:] == ["  部门 第 2 行 负责人工号：工号“7777”不在文件中，系统中也没有"]
    several = staff(home, rows=[["1001", "", "没有"], ["10 02", "李二", "YB"], ["1003", "", "YB"]])
    told = tell(monkeypatch, capsys, "staff", "import", str(several))
    assert told[1:] == [
        "  人员 第 2 行 姓名：必填；部门编码：“没有”不正确，只能用字母、数字、- 和 _，最多 40 个",
        "  人员 第 3 行 工号：“10 02”不正确，只能用字母、数字、- 和 _，最多 20 个",
        "  人员 第 4 行 姓名：必填",
    ]


def test_the_same_files_once_more_are_not_deployed(db: Database, home: Path) -> None:
    folder = str(ROOT / "processes" / "notice_circulation")
    *warnings, done = run("process", "deploy", folder).output.splitlines()
    assert done == f"notice_circulation 第 1 版已部署，{len(warnings)} 个提醒"  # nobody holds a role yet
    assert run("process", "deploy", folder).output == "notice_circulation 第 1 版与这些文件相同，没有部署新版本\n"


def test_beside_the_demos_key_a_missing_one_says_how_to_use_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIYUE_SECRET_KEY", raising=False)
    monkeypatch.delenv("PIYUE_MODE", raising=False)
    (home / "var").mkdir()
    (home / "var" / "secret.key").write_text("x" * 64)
    (told,) = tell(monkeypatch, capsys, "audit", "verify")
    assert "请先运行 export PIYUE_MODE=demo" in told


def test_a_deployment_tells_its_warnings(db: Database, home: Path) -> None:
    body = '<startEvent id="s"/><task id="t" name="登记"/><endEvent id="e"/>' + chain("s", "t", "e")
    (home / "process.bpmn").write_text(bpmn(body)["process.bpmn"], encoding="utf-8")
    *places, done = run("process", "deploy", str(home)).output.splitlines()
    assert done == f"p 第 1 版已部署，{len(places)} 个提醒"
    assert any(place.startswith("process.bpmn:2 元素 t「登记」: 警告 plain_task: ") for place in places)


def test_a_deployment_tells_its_findings(
    db: Database, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    diagram = bpmn('<startEvent id="s"/><endEvent id="e"/><userTask id="u"/>' + chain("s", "u", "e"))["process.bpmn"]
    (home / "process.bpmn").write_text(diagram, encoding="utf-8")
    told = tell(monkeypatch, capsys, "process", "deploy", str(home))
    assert told[0].startswith("错误：流程有错误，没有部署")
    assert any(line.startswith("  process.bpmn:2 元素 u: 错误 assign_missing: ") and "办法: " in line for line in told)
    assert "{" not in "".join(told)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POOL_SIZE", "viele", "PIYUE_POOL_SIZE 应为整数"),
        ("THREADS", "0", "PIYUE_THREADS 至少是 1"),
        ("MODE", "test", "PIYUE_MODE 只能是 production、demo"),
        ("SECURE_COOKIE", "ja", "PIYUE_SECURE_COOKIE 应为 true 或 false"),
        ("DATABASE_URL", "mysql://x:geheim@y/z", "PIYUE_DATABASE_URL 应以 postgresql: 或 sqlite: 开头"),
        ("DATABASE_URL", "sqlite:x", "PIYUE_DATABASE_URL 不是可用的数据库地址"),
        ("SECRET_KEY", "geheim", "PIYUE_SECRET_KEY 太短"),
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["worker"], ["staff", "roles"]])
def test_a_setting_that_is_unusable_is_told_in_one_line(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(f"PIYUE_{name}", value)
    (line,) = tell(monkeypatch, capsys, *command)
    assert said in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WECOM_AGENT_ID", "x", "PIYUE_WECOM_AGENT_ID 应为整数"),
        ("WECOM_API", "qyapi", "PIYUE_WECOM_API 应是 http:// 或 https:// 开头的网址"),
        ("WECOM_CONTACTS", "all", "PIYUE_WECOM_CONTACTS 只能是 off、accounts、lead"),
        ("WECOM_AES_KEY", "x" * 42, "PIYUE_WECOM_AES_KEY 应是 43 个字母、数字、+ 或 /"),
        ("WECOM_AES_KEY", "x" * 42 + "-", "PIYUE_WECOM_AES_KEY 应是 43 个字母、数字、+ 或 /"),
        ("WECOM_AES_KEY", "x" * 43, "PIYUE_WECOM_AES_KEY 要与 PIYUE_WECOM_TOKEN 一起设置"),
        ("WECOM_TOKEN", "x", "PIYUE_WECOM_AES_KEY 要与 PIYUE_WECOM_TOKEN 一起设置"),
        ("SMS_URL", "gateway", "PIYUE_SMS_URL 应是 http:// 或 https:// 开头的网址"),
    ],
)
def test_an_unusable_setting_of_wecom_is_told_by_its_own_name(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, said: str
) -> None:
    assert run("db", "upgrade").exit_code == 0
    monkeypatch.setenv(f"PIYUE_{name}", value)
    (line,) = tell(monkeypatch, capsys, "wecom", "sync")
    assert said in line


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["staff", "roles"], ["staff", "grant", "1001", "auditor"]])
def test_missing_tables_are_told_in_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert tell(monkeypatch, capsys, *command) == ["错误：数据库里缺少表，或表是旧版本的，请先运行 piyue db upgrade"]


def test_errors_of_the_database_keep_what_was_written_to_themselves(db: Database) -> None:
    with db.unit_of_work() as session, pytest.raises(DBAPIError) as failed:
        session.execute(text("INSERT INTO role (code, name, kind) VALUES (:c, 'x', NULL)"), {"c": "geheim"})
    assert "geheim" not in str(failed.value)


def test_the_trail_is_proved_against_an_anchor_kept_outside(
    db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(monkeypatch, capsys, "audit", "head") == ["错误：还没有封存：让服务或 piyue worker 运行几秒后再试"]
    assert run("staff", "grant", "1001", ADMIN).exit_code == 0
    sealing.seal(open_database(Settings()))
    anchor = run("audit", "head").stdout.strip()
    proved = run("audit", "verify", "--anchor", anchor)
    assert (proved.exit_code, proved.stdout.splitlines()) == (
        0,
        ["共 2 条办理记录，0 条被改动", "已封存 2 条，未封存 0 条，0 处不符"],
    )
    with db.unit_of_work() as session:
        session.execute(text("DELETE FROM action_log WHERE id = (SELECT max(id) FROM action_log)"))
    proved = run("audit", "verify")
    assert (proved.exit_code, proved.stdout.splitlines()[1:]) == (
        1,
        ["已封存 1 条，未封存 0 条，1 处不符", "  编号 1 至 2：封存时 2 行，现在 1 行"],
    )


def test_lint_looks_into_the_organisation_when_it_is_asked_to(db: Database, home: Path) -> None:
    role = '<piyue:assign rule="role" role="hr_clerk"/>'
    step = f'<userTask id="t"><extensionElements>{role}</extensionElements></userTask>'
    body = f'<startEvent id="s"/>{step}<endEvent id="e"/>{chain("s", "t", "e")}'
    (home / "process.bpmn").write_text(bpmn(body)["process.bpmn"], "utf-8")
    assert "organisation" not in run("process", "lint", str(home), "--json").output
    told = run("process", "lint", str(home), "--organisation").output
    assert "元素 t: 警告 organisation_nobody: 办理人规则找不到人：角色“人事科经办”（hr_clerk）没有人担任" in told
    assert "0 个错误" in told


def test_the_difference_to_wecoms_contacts_is_printed_and_then_written(
    db: Database, wecom_sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wecom_sandbox.settings().items():
        monkeypatch.setenv(f"PIYUE_WECOM_{name.upper()}", str(value))
    wecom_sandbox.state.members["1001"] = Member("1001", "张一", [1])
    looked = run("wecom", "sync", "--dry-run")
    assert looked.exit_code == 0
    assert "关联账号 1001：张一（1001）\n" in looked.output
    assert looked.output.endswith("以上是差异，没有写入\n")
    accounts = select(Person.staff_number).join(WeComAccount, WeComAccount.person_id == Person.id)
    with db.reading() as session:
        assert session.scalars(accounts).all() == []
    done = run("wecom", "sync")
    assert done.output.splitlines()[-1].startswith("新增 0、更新 0、停用 0、恢复 0；关联账号 1、")
    with db.reading() as session:
        assert session.scalars(accounts).all() == ["1001"]
