"""The example files of sites: each can be used as it stands, knows every setting, and works against the stand-ins."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from engine.connectors.oa import adapters, sites
from engine.connectors.oa.adapters import KINDS, template_site
from engine.connectors.oa.adapters.protocol import State, Todo
from engine.connectors.oa.adapters.site import SignOn, Site
from engine.connectors.oa.adapters.template_site import TemplateSite
from engine.errors import Invalid
from sandbox.oa.server import Running, running
from sandbox.oa.state import State as Sandbox

EXAMPLES = Path(adapters.__file__).parent / "examples"
KEY = b"k" * 32
SECRET = "sixteen characters and more"
ANY_KIND = pytest.mark.parametrize("kind", sorted(KINDS))
OPTIONAL = re.compile(r"^#(?=[\[\w])", re.MULTILINE)
SEALED = re.compile(r'"enc:[^"]*"')


@dataclass(frozen=True)
class Person:
    number: str = "2001"
    name: str = "李医生"
    mobile: str = "13800000000"
    department: str = "10"
    label: str = "内科"


@pytest.fixture(scope="module")
def oas() -> Iterator[Running]:
    with running(Sandbox([Person()])) as oas:
        yield oas


def written(tmp_path: Path, kind: str, text: str, secret: str = SECRET, code: str = "oa") -> list[Site]:
    """Put a file where an operator would, its secrets sealed, and read the sites."""
    (tmp_path / code).mkdir()
    sealed = SEALED.sub(lambda _: f'"{sites.encrypted(KEY, code, secret)}"', text)
    (tmp_path / code / "site.toml").write_text(sealed, "utf-8")
    return sites.read(tmp_path, KEY)


def example(kind: str) -> str:
    return (EXAMPLES / f"{kind}.toml").read_text("utf-8")


def test_each_kind_has_an_example() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.toml")} == set(KINDS)


@ANY_KIND
def test_an_example_can_be_used_as_it_stands(tmp_path: Path, kind: str) -> None:
    [site] = written(tmp_path, kind, example(kind))
    assert (type(site), site.kind) == (KINDS[kind][0], kind)


@ANY_KIND
def test_what_an_example_offers_is_true(tmp_path: Path, kind: str) -> None:
    [site] = written(tmp_path, kind, OPTIONAL.sub("", example(kind)))
    assert site.sign_on is not None
    adapter = KINDS[kind][1](site, lambda: None)
    adapter.close()


@ANY_KIND
def test_an_example_knows_every_setting_and_shows_its_default(kind: str) -> None:
    content = tomllib.loads(OPTIONAL.sub("", example(kind)))
    settings, _ = KINDS[kind]
    not_here = {"code", "folder"} | ({"user", "password"} if kind.startswith("weaver") else set())
    if kind in ("landray.rest", "weaver.rest"):
        not_here.add("wsdl")
    assert set(content) == set(settings.model_fields) - not_here | ({"pull"} if "pull" in content else set())
    shown = {"link", "mobile_link", "user", "wsdl", "sign_on", "pull"}  # examples rather than defaults
    for name, field in settings.model_fields.items():
        if name in content and not field.is_required() and name not in shown and name != "password":
            assert content[name] == field.default, name


def test_the_example_of_a_template_knows_every_part_of_an_interface() -> None:
    content: Any = tomllib.loads(OPTIONAL.sub("", example("template")))["template"]
    assert set(content) == set(template_site.Interface.model_fields)
    parts: list[tuple[Any, type[BaseModel]]] = [
        (content[name], model)
        for name, model in (
            ("errors", template_site.Errors),
            ("login", template_site.Login),
            ("shown", template_site.Shown),
            ("waiting", template_site.Own),
            ("done_since", template_site.Done),
            ("handled", template_site.Handled),
        )
    ]
    common = set(template_site.Operation.model_fields)
    for table, model in parts:
        assert set(model.model_fields) - common <= set(table), model
    assert set(template_site.Put.model_fields) - {"success", "headers"} <= set().union(*content["put"])


@ANY_KIND
def test_an_example_mirrors_an_item(tmp_path: Path, oas: Running, kind: str) -> None:
    oas.state.reset()
    given = oas.site(kind)
    [site] = written(tmp_path, kind, example(kind), secret=given.get("password", SECRET))
    names = ("address", "user", "app_name", "model_name", "syscode", "register_code")
    said = {name: given[name] for name in names if name in given}
    lists = oas.state.oas["plain" if kind == "template" else kind.partition(".")[0]]  # type: ignore[index]
    now = datetime.now(UTC)
    item = Todo(
        key="1" * 32,
        account="2001",
        person="李医生",
        title="年假",
        workflow="请假",
        node="审批",
        sender="",
        sender_account="",
        urgency=0,
        started_at=now,
        opened_at=now,
        link="https://piyue.example/a",
        mobile_link="",
        kind="decide",
        stamp=1,
    )

    with closing(KINDS[kind][1](site.model_copy(update=said), lambda: None)) as adapter:
        adapter.check()
        adapter.put(item, State.TODO)
        assert [row.title for row in lists.open("2001")] == ["年假"]
        adapter.put(item, State.DONE)
        assert lists.open("2001") == []


@pytest.mark.parametrize("kind", ["landray.rest", "landray.soap", "seeyon", "template"])  # the others have none
def test_a_secret_in_clear_is_refused(tmp_path: Path, kind: str) -> None:
    text = SEALED.sub('"in clear, sixteen and more"', OPTIONAL.sub("", example(kind)))
    with pytest.raises(Invalid, match=r"是明文.*piyue oa encrypt") as raised:
        written(tmp_path, kind, text)
    assert "in clear" not in str(raised.value)


def test_a_kind_that_is_no_text_is_told_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="kind 是"):
        written(tmp_path, "seeyon", 'kind = ["seeyon"]\n')


def test_a_sign_on_in_the_examples_is_complete() -> None:
    for kind in KINDS:
        table = tomllib.loads(OPTIONAL.sub("", example(kind)))["sign_on"]
        assert SignOn.model_validate(table | {"secret": SECRET}).kind == table["kind"]


def test_a_template_s_mistake_is_told_with_the_file_and_the_place(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"oa/site\.toml.*第 1 个 \[\[template\.put\]\].*body.*不认识“todos”"):
        written(tmp_path, "template", example("template").replace("todo.account|tojson", "todos.account|tojson", 1))
    assert issubclass(KINDS["template"][0], TemplateSite)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('title = "{node}"', r"title.*要有 \{title\}"),
        ('title = "{title}{amount}"', r"title.*不认识 \{amount\}：可用 \{title\} \{workflow\} \{node\}"),
        (
            'link = "{base}/oa/{who}"',
            r"link.*不认识 \{who\}：可用 \{base\} \{site\} \{item\} \{instance\}",
        ),
        ('title = "{title}·{node"', r"title.*第 9 个字符“\{”没有成对：可用 \{title\} \{workflow\} \{node\}"),
        ('title = "node}{title}"', r"title.*第 5 个字符“\}”没有成对"),
        ('link = "{base}/oa/{item"', r"link.*第 11 个字符“\{”没有成对"),
        ('title = "{title}\\n{node}"', r"title.*第 8 个字符是换行或控制字符"),
        ('link = "{base}/\\r/{item}"', r"link.*第 8 个字符是换行或控制字符"),
        ('mobile_link = "{base}/{item}\\u0000"', r"mobile_link.*第 14 个字符是换行或控制字符"),
    ],
)
def test_a_place_that_no_template_has_is_told_with_those_that_it_has(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(Invalid, match=rf"oa/site\.toml.*{told}"):
        written(tmp_path, "seeyon", example("seeyon").replace("#mirror", f"{line}\n#mirror", 1))


def test_a_template_may_have_the_wide_space_of_chinese(tmp_path: Path) -> None:
    line = 'title = "【{workflow}】{title}\u3000{node}"'
    assert written(tmp_path, "seeyon", example("seeyon").replace("#mirror", f"{line}\n#mirror", 1))
