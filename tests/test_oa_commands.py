"""The commands `piyue oa …`, without a worker: from a site's file to an OA that shows what is open, and no more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

import piyue
from engine import clock, outbox
from engine.bpm.models import ActionLog
from engine.connectors.oa.people import SHEET
from engine.org.demo import CAST
from engine.org.spreadsheet import write_workbook
from sandbox import toml
from sandbox.oa.server import Running
from tests.dsl import Bpm, task
from tests.engine.bpm.contracts.kit import line
from tests.factories.outbox import registry

pytestmark = pytest.mark.backend("sqlite")

HEAD = CAST["head_nurse"].staff_number
LINE = line(("a", task("a", "head_nurse")), ("b", task("b", "archivist")))
OPEN = ("todo", "read")


@dataclass
class House:
    """An installation with the folder of its sites."""

    bpm: Bpm
    oa: Running
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, given: str = "") -> Result:
        return CliRunner().invoke(piyue.app, ["oa", *arguments], input=given, catch_exceptions=False)

    def told(self, *arguments: str) -> list[str]:
        """Run a command that is refused, as the operator does; return the lines that are told."""
        self.monkeypatch.setattr("sys.argv", ["piyue", "oa", *arguments])
        with pytest.raises(SystemExit) as ended:
            piyue.main()
        assert ended.value.code == 1
        return self.capsys.readouterr().err.splitlines()

    def site(self, code: str = "ekp", kind: str = "landray.rest", **settings: Any) -> None:
        """Write the file of a site, its password encrypted by the command."""
        content = {"per_minute": 60_000, **self.oa.site(kind), **settings}
        content.pop("sign_on", None)
        if "password" in content:
            content["password"] = self.run("encrypt", code, given=f"{content['password']}\n").output.strip()
        (self.folder / code).mkdir(parents=True, exist_ok=True)
        (self.folder / code / "site.toml").write_text(toml.written(content), "utf-8")

    def shown(self, account: str = HEAD) -> list[str]:
        rows = self.oa.state.landray.rows()
        return sorted(row.title for row in rows if row.account == account and row.state in OPEN)

    def lose(self) -> None:
        """Let the OA lose what it shows, as where its backup is restored."""
        for row in [row for row in self.oa.state.landray.rows() if row.state in OPEN]:
            self.oa.state.landray.remove(row)


@pytest.fixture
def house(
    bpm: Bpm, oa_sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[House]:
    monkeypatch.setenv("PIYUE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("PIYUE_DATABASE_URL", bpm.db.url.render_as_string(hide_password=False))
    monkeypatch.setenv("PIYUE_SECRET_KEY", "k" * 40)
    monkeypatch.setenv("PIYUE_OA_FOLDER", str(tmp_path / "oa"))
    bpm.only_the_cast().deploy_files(LINE)
    with registry():
        yield House(bpm, oa_sandbox, tmp_path / "oa", monkeypatch, capsys)


def test_sites_are_listed_and_their_connection_is_tried(house: House) -> None:
    house.site()
    house.site("ekp2", password="falsch")
    assert [line_.split()[:2] for line_ in house.run("sites").output.splitlines()] == [
        ["ekp", "landray.rest"],
        ["ekp2", "landray.rest"],
    ]
    assert house.run("check", "ekp").exit_code == 0
    tried = house.run("check")
    assert tried.exit_code == 1
    assert tried.output.splitlines()[1].startswith("ekp2：不通：")
    assert "falsch" not in tried.output


def test_a_secret_is_read_without_being_shown_and_is_worth_nothing_elsewhere(house: House) -> None:
    first, second = (house.run("encrypt", "ekp", given="geheim\n").output.strip() for _ in range(2))
    assert first.startswith("enc:")
    assert first != second
    assert "geheim" not in first
    house.site()
    (house.folder / "other").mkdir()
    content = (house.folder / "ekp" / "site.toml").read_text("utf-8")
    (house.folder / "other" / "site.toml").write_text(content, "utf-8")
    assert "解不开" in house.told("sites")[0]


def test_what_was_open_before_is_loaded_here_and_now(house: House) -> None:
    for _ in range(30):
        house.bpm.start("p", "nurse")
    house.site()
    assert "还没有做过首次装载" in house.run("load", "ekp", "--status").output
    done = house.run("load", "ekp")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "已完成：30 / 30 条")
    assert len(house.shown()) == 30
    assert "已经完成" in house.told("load", "ekp")[0]
    assert house.run("load", "ekp", "--again").exit_code == 0


def test_a_load_is_left_to_the_worker_rests_and_goes_on(house: House) -> None:
    house.bpm.start("p", "nurse")
    house.site()
    assert house.run("load", "ekp", "--no-wait").output.startswith("进行中：0 / 1 条")
    assert house.run("load", "ekp", "--pause").output == "已暂停：0 / 1 条\n"
    assert house.run("load", "ekp", "--resume").output.splitlines()[-1] == "已完成：1 / 1 条"
    with house.bpm.db.reading() as session:
        verbs = session.scalars(select(ActionLog.verb).where(ActionLog.verb == "oa_load")).all()
    assert len(verbs) == 3


def test_a_reconciliation_finds_mends_and_then_finds_nothing(house: House) -> None:
    house.site()
    house.bpm.start("p", "nurse")
    house.run("load", "ekp")
    assert house.run("reconcile").exit_code == 0
    house.lose()
    found = house.run("reconcile", "ekp")
    assert found.exit_code == 1
    assert "漏 1、幽灵 0、陈旧 0" in found.output
    assert HEAD in found.output
    mended = house.run("reconcile", "ekp", "--repair")
    assert (mended.exit_code, len(house.shown())) == (0, 1)
    assert "，已修复" in mended.output
    assert house.run("reconcile", "ekp").exit_code == 0


def test_the_report_as_json(house: House) -> None:
    house.site()
    house.bpm.start("p", "nurse")
    house.run("load", "ekp")
    house.lose()
    found = house.run("reconcile", "--json")
    assert found.exit_code == 1
    [report] = orjson.loads(found.stdout)["reports"]
    assert report["site"] == "ekp"
    assert (report["state"], report["missing"], report["left"], report["by"]) == ("done", 1, 1, "command")
    [difference] = report["differences"]
    assert (difference["kind"], difference["number"], difference["result"]) == ("missing", HEAD, "")


def test_a_channel_that_is_paused_is_told_of(house: House) -> None:
    house.site()
    house.bpm.start("p", "nurse")
    house.run("load", "ekp")
    with house.bpm.db.unit_of_work() as session:
        outbox.pause(session, house.bpm.actor("process_admin"), "oa.ekp", "今晚维护")
    found = house.run("reconcile", "ekp")
    assert found.exit_code == 1
    assert "通道已暂停：今晚维护" in found.output + found.stderr


def test_accounts_come_from_a_file_and_go_into_one(house: House, tmp_path: Path) -> None:
    house.site(people="table")
    house.bpm.start("p", "nurse")
    house.run("load", "ekp")
    assert f"{HEAD}" in house.run("accounts", "ekp").output
    assert "没有对应：1 条待办" in house.run("accounts", "ekp").output
    file = tmp_path / "账号.xlsx"
    file.write_bytes(write_workbook({SHEET: ({"工号": 10, "账号": 10}, [[HEAD, HEAD]])}, []))
    assert house.run("accounts", "ekp", "import", str(file)).output == "写入 1、删去 0、不变 0\n"
    house.run("reconcile", "ekp", "--repair")
    assert len(house.shown()) == 1
    out = tmp_path / "导出.xlsx"
    assert "1 人" in house.run("accounts", "ekp", "export", str(out)).output
    assert house.run("accounts", "ekp", "import", str(out)).output == "写入 0、删去 0、不变 1\n"
    bad = tmp_path / "错.csv"
    bad.write_text("工号,账号\n0000,x\n", "utf-8")
    lines = house.told("accounts", "ekp", "import", str(bad))
    assert "没有导入任何内容" in lines[0]
    assert "第 2 行" in lines[1]


def test_each_command_says_in_chinese_what_it_does(house: House) -> None:
    for line_ in re.findall(r"│ (?:sites|check|encrypt|load|reconcile|accounts) .*", house.run("--help").output):
        assert re.search("[\u4e00-\u9fff]", line_), line_
        assert "(" not in line_, line_


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("sysCode = 'x'", "sysCode：没有这一项，是不是 syscode？"),
        ("syscode = 'x'\nper_minute = 'often'", "per_minute：应为整数"),
        ("syscode = 'x'\nper_minute = 1", "per_minute：至少是 6"),
        ("syscode = 'x'\n[sign_on]\nkind = 'ticket'\nverify = 'http://else.test/{ticket}'", "sign_on.verify 只能是"),
        ("syscode = 'x'\n[pull]\nappId = '1'", "pull.appId：没有这一项，是不是 appid？"),
        ("syscode = x", "第 4 行第 11 列不是正确的 TOML 写法"),
        ("syscode = 'x'\nsyscode = 'y'\nuser = ''", "第 5 行第 14 列的一项写了第二遍"),
    ],
)
def test_a_mistake_in_a_site_s_file_is_told_in_chinese_with_its_place(house: House, written: str, told: str) -> None:
    (house.folder / "weaver").mkdir(parents=True)
    head = 'kind = "weaver.rest"\nname = "泛微"\naddress = "http://127.0.0.1:9"\n'
    (house.folder / "weaver" / "site.toml").write_text(head + written, "utf-8")
    [line_] = house.told("sites")
    assert told in line_
    assert line_.count("site.toml") == 1
    assert not re.search("Value error|required|Extra|Expected|Invalid", line_), line_


def test_a_folder_without_a_file_is_told_of(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.site()
    (house.folder / "weaver").mkdir()
    (house.folder / ".git").mkdir()
    assert house.run("sites").exit_code == 0
    [told] = [record.getMessage() for record in caplog.records if "site.toml" in record.getMessage()]
    assert "weaver" in told


def test_a_wrong_name_under_which_lists_are_read_is_found_once_something_is_there(house: House) -> None:
    house.bpm.start("p", "nurse")
    pull = house.oa.site("weaver.rest")["pull"]
    house.site("wea", "weaver.rest", pull=pull)
    assert "推过以后再测一次" in house.run("check", "wea").output
    house.run("load", "wea")
    clock.freeze(clock.now() + timedelta(minutes=2))
    assert "读到我们的待办 1 条" in house.run("check", "wea").output
    house.site("wea", "weaver.rest", pull=pull | {"system": "别的系统"})
    tried = house.run("check", "wea")
    assert tried.exit_code == 1
    assert "[pull] 的 system" in tried.output


def test_what_is_not_there_is_told_with_what_is(house: House) -> None:
    for command in (["reconcile"], ["sites"], ["load", "ekp"]):
        [told] = house.told(*command)
        assert "还没有配置旧 OA 站点" in told
        assert str(house.folder) in told
    house.site()
    assert "没有站点“nirgends”，现有：ekp" in house.told("load", "nirgends")[0]
    assert "不能作站点代码" in house.told("encrypt", "集团")[0]
    assert house.run("load", "ekp", "--pause", "--status").exit_code == 2
    assert house.run("accounts", "ekp", "import", "nirgends.xlsx").exit_code == 2
