"""The commands `piyue oa …` as an operator uses them, without a worker (issue 5; the guide for administrators)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import piyue
from engine import outbox
from engine.errors import EngineError
from sandbox.oa.server import Running
from tests.contracts.oa.office import HEAD, process
from tests.dsl import Bpm
from tests.engine.connectors.desks import OPEN, number

pytestmark = pytest.mark.backend("sqlite")


class House:
    """An installation with a folder of sites, and nobody but the operator."""

    def __init__(self, bpm: Bpm, oa: Running, folder: Path) -> None:
        self.bpm, self.oa, self.folder = bpm, oa, folder

    def run(self, *arguments: str, given: str = "", code: int = 0) -> Result:
        """Run a command, which ends with this exit code."""
        result = CliRunner().invoke(piyue.app, ["oa", *arguments], input=given)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def refused(self, *arguments: str) -> str:
        """Run a command that is refused; return why."""
        result = CliRunner().invoke(piyue.app, ["oa", *arguments])
        assert isinstance(result.exception, EngineError), (result.output, result.exception)
        return result.exception.message

    def site(self, code: str = "ekp", kind: str = "landray.soap", **more: Any) -> Path:
        """Write the file of a site by the guide."""
        content = {"per_minute": 60_000, **self.oa.site(kind), **more}
        content.pop("sign_on", None)
        if "password" in content:
            content["password"] = self.run("encrypt", code, given=f"{content['password']}\n").output.strip()
        path = self.folder / code / "site.toml"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in content.items()), "utf-8")
        return path

    @property
    def shown(self) -> int:
        """How many items the head nurse's list shows."""
        return sum(r.state in OPEN for r in self.oa.state.landray.of(number(HEAD)))


@pytest.fixture
def house(bpm: Bpm, oa_sandbox: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The demo hospital as an operator finds it, three items waiting."""
    values = {
        "PIYUE_DATABASE_URL": str(bpm.db.engine.url),
        "PIYUE_VAR": str(tmp_path),
        "PIYUE_OA_FOLDER": str(tmp_path / "oa"),
        "PIYUE_SECRET_KEY": "a key of the tests, long enough for all",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    bpm.only_the_cast().deploy_files(process(HEAD))
    for _ in range(3):
        bpm.start("p", by="nurse")
    yield House(bpm, oa_sandbox, tmp_path / "oa")
    bpm.db.mirrors = ()


def test_from_an_empty_folder_to_a_desk_that_is_right(house: House) -> None:
    assert "还没有" in house.refused("check")
    path = house.site()
    assert house.oa.site("landray.soap")["password"] not in path.read_text("utf-8")
    assert "ekp" in house.run("sites").output
    assert "ekp" in house.run("check").output
    assert house.shown == 0
    house.run("load", "ekp")
    assert house.shown == 3
    assert "3" in house.run("load", "ekp", "--status").output
    assert house.refused("load", "ekp")
    assert "0" in house.run("reconcile", "ekp").output

    row = next(r for r in house.oa.state.landray.waiting(number(HEAD)))
    with house.oa.state.lock:
        house.oa.state.landray.remove(row)
    told = house.run("reconcile", code=1).output
    assert "蓝凌 OA（ekp）" in told
    assert "曾淑贞" in told
    report = json.loads(house.run("reconcile", "--json", code=1).output)["reports"][0]
    assert (report["site"], report["missing"], len(report["differences"])) == ("ekp", 1, 1)
    house.run("reconcile", "ekp", "--repair")
    assert house.shown == 3
    house.run("reconcile")


def test_a_wrong_password_is_told_and_counts(house: House) -> None:
    house.site()
    house.oa.state.landray.settings.password = "changed"
    told = house.run("check", code=1)
    assert "ekp" in told.output or "蓝凌" in told.output
    house.oa.state.landray.settings.password = house.oa.site("landray.soap")["password"]
    house.run("check")


def test_one_of_two_that_does_not_answer(house: House) -> None:
    house.site("ekp")
    house.site("a8", "seeyon")
    house.oa.state.seeyon.settings.addresses = {"10.9.9.9"}
    told = house.run("check", code=1).output
    assert "未授权" in told
    assert "通" in told
    assert "未授权" not in house.run("check", "ekp").output


def test_mistakes_in_a_file_are_told_with_place_and_cure(house: House) -> None:
    path = house.site()
    text = path.read_text("utf-8")
    for wrong, named in (
        (text.replace("app_name", "appname"), "app_name"),
        (text + '\nkind2 = "x"', "kind2"),
        (text.replace('kind = "landray.soap"', 'kind = "notes"'), "kind"),
        (text + "\nper_minute", "site.toml"),
        (text.replace("enc:", ""), "password"),
    ):
        path.write_text(wrong, "utf-8")
        told = house.refused("sites")
        assert "site.toml" in told, told
        assert named in told, told
    path.write_text(text, "utf-8")
    house.run("sites")
    (house.folder / "Bad_Code").mkdir()
    (house.folder / "Bad_Code" / "site.toml").write_text(text, "utf-8")
    assert "Bad_Code" in house.refused("sites")


def test_mistakes_in_a_file_are_told_in_chinese(house: House) -> None:
    path = house.site()
    path.write_text(path.read_text("utf-8").replace("app_name", "appname"), "utf-8")
    told = house.refused("sites")
    assert "app_name" in told
    assert "required" not in told, told


def test_a_secret_is_of_one_site(house: House) -> None:
    secret = house.run("encrypt", "other", given="pass-word\n").output.strip()
    assert secret.startswith("enc:")
    assert "pass-word" not in secret
    path = house.site()
    lines = [
        line if not line.startswith("password") else f'password = "{secret}"' for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines), "utf-8")
    assert "password" in house.refused("sites")


def test_accounts_go_in_and_out_as_a_table(house: House, tmp_path: Path) -> None:
    house.site(people="table")
    house.run("load", "ekp")
    listed = house.run("accounts", "ekp").output
    assert f"{number(HEAD)}" in listed
    assert "3" in listed, "how much waits for whom it doesn't know"
    assert house.shown == 0
    table = tmp_path / "table.csv"
    table.write_text(f"工号,账号\n{number(HEAD)},{number(HEAD)}\n", "utf-8")
    house.run("accounts", "ekp", "import", str(table))
    house.run("reconcile", "ekp", "--repair")
    assert house.shown == 3
    out = tmp_path / "out.xlsx"
    house.run("accounts", "ekp", "export", str(out))
    house.run("accounts", "ekp", "import", str(out))
    assert "没有" in house.refused("accounts", "nowhere")


def test_paused_by_hand_the_command_says_so(house: House) -> None:
    house.site()
    house.run("load", "ekp", "--no-wait")
    assert house.shown == 0
    with house.bpm.db.unit_of_work() as session:
        outbox.pause(session, house.bpm.actor("process_admin"), "oa.ekp", "OA 升级")
    assert "暂停" in house.refused("load", "ekp")
    with house.bpm.db.unit_of_work() as session:
        outbox.resume(session, house.bpm.actor("process_admin"), "oa.ekp")
    house.run("load", "ekp", "--pause")
    assert "暂停" in house.run("load", "ekp", "--status").output
    house.run("load", "ekp", "--resume")
    assert house.shown == 3
