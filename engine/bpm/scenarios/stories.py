"""Reading `scenarios.yaml` strictly: a mistake in a story is named with its place, never played some other way."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import yaml

from engine.errors import Invalid
from engine.org.demo import CAST

MAX_TEXT = 1_000_000  # characters of a file
MAX_VALUES = 100_000  # values of a file, those of repeated anchors counted each time
EVERYONE = "everyone"
START = datetime.fromisoformat("2026-03-02T09:00:00+08:00")
"""When a story begins, unless it says `at`: a Monday morning."""

# verb: required, optional keys
_VERBS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    verb: (frozenset(required.split()), frozenset(optional.split()))
    for verb, required, optional in (
        ("complete", "step by outcome", "opinion data"),
        ("read", "step by", "opinion"),
        ("claim", "step by", ""),
        ("unclaim", "step by", ""),
        ("return", "step by to mode opinion", ""),
        ("take_back", "step by", ""),
        ("reassign", "step by to reason", ""),
        ("circulate", "step by to", "reason"),
        ("withdraw", "by reason", ""),
        ("terminate", "by reason", ""),
        ("urge", "by", "text"),
        ("comment", "by text", ""),
        ("copy", "by to", "reason"),
        ("message", "name correlation", "data"),
        ("signal", "name", "data"),
        ("expect", "", "title summary urgency data present"),
        ("expect_open", "step by", ""),
        ("expect_closed", "step by", ""),
        ("expect_passed", "element times", ""),
        ("expect_incident", "step kind", ""),
        ("refused", "code do", ""),
    )
}
_DURATION = re.compile(r"P(?=.)(?:(\d{1,4})D)?(?:T(?=.)(?:(\d{1,4})H)?(?:(\d{1,4})M)?)?")


@dataclass(frozen=True, slots=True)
class Act:
    """One step of a story: a verb with its arguments; the act that `refused` expects to fail is under `do`."""

    verb: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """One story (场景): who starts with what, what happens, how it ends."""

    name: str
    by: str
    data: Mapping[str, Any]
    refused: str | None
    at: datetime
    acts: tuple[Act, ...]
    end: Mapping[str, Any] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """YAML's safe subset; a key written twice in one mapping is a mistake, not the last one's win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"“{key.value}”写了两次", key.start_mark)
            if isinstance(key.value, str):
                seen.add(key.value)
        return node


def load(text: str, file: str = "scenarios.yaml") -> list[Story]:
    """Return the stories of a file. Invalid (code `scenarios`) names the story and the place of the first mistake."""
    if len(text) > MAX_TEXT:
        raise Invalid(f"{file} 太大，最多 {MAX_TEXT} 个字符", code="scenarios")
    try:
        content = _Loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"第 {mark.line + 1} 行：" if mark else ""
        raise Invalid(f"{file} {line}不是正确的 YAML：{getattr(error, 'problem', error)}", code="scenarios") from error
    reader = _Reader(file)
    return reader.stories(content)


class _Reader:
    """Turns YAML into stories; `place` is what a mistake is reported at."""

    def __init__(self, file: str) -> None:
        self._place = file
        self._values = 0

    def _refuse(self, message: str) -> Invalid:
        return Invalid(f"{self._place}：{message}", code="scenarios")

    def _mapping(self, value: Any, required: Iterable[str], optional: Iterable[str], what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._refuse(f"{what}应写成“键: 值”")
        required, allowed = set(required), {*required, *optional}
        if unknown := [str(key) for key in value if key not in allowed]:
            raise self._refuse(f"{what}里不认识“{unknown[0]}”，可用：{'、'.join(sorted(allowed))}")
        if missing := sorted(required - value.keys()):
            raise self._refuse(f"{what}缺少“{missing[0]}”")
        return value

    def stories(self, content: Any) -> list[Story]:
        """Read the whole file."""
        if not isinstance(content, list) or not content:
            raise self._refuse("应是场景的列表，至少一个")
        file, names, found = self._place, set(), []
        for number, source in enumerate(content, 1):
            self._place = f"{file} 第 {number} 个场景"
            source = self._mapping(source, ("name", "start"), ("at", "steps", "end"), "场景")
            name = str(source["name"])
            self._place = f"{file}“{name}”"
            if name in names:
                raise self._refuse("有两个场景同名")
            names.add(name)
            found.append(self._story(name, source))
        return found

    def _story(self, name: str, source: dict[str, Any]) -> Story:
        start = self._mapping(source["start"], ("by",), ("data", "refused"), "start")
        steps, refused = source.get("steps", []), start.get("refused")
        if not isinstance(steps, list):
            raise self._refuse("steps 应是列表")
        if refused is None and "end" not in source:
            raise self._refuse("缺少“end”")
        if refused is not None and ("end" in source or steps):
            raise self._refuse("发起被拒绝的场景没有 steps 和 end")
        at = source.get("at", START)
        if not isinstance(at, datetime) or at.tzinfo is None:
            raise self._refuse("at 应是带时区的时间，如 2026-03-02T09:00:00+08:00")
        self._people(start["by"])
        end = source.get("end", {})
        if end:
            end = self._mapping(end, ("state",), ("data", "passed", "not_passed"), "end")
        acts, place = [], self._place
        for number, step in enumerate(steps, 1):
            self._place = f"{place}第 {number} 步"
            acts.append(self._act(step))
        self._place = place
        return Story(
            name, str(start["by"]), self._plain(start.get("data", {})), refused, at, tuple(acts), self._plain(end)
        )

    def _act(self, source: Any) -> Act:
        if not isinstance(source, dict) or len(source) != 1:
            raise self._refuse("一步应写成“动作: {…}”，只有一个动作")
        verb, value = next(iter(source.items()))
        if verb == "advance_clock":
            return Act(verb, {"duration": self._duration(value)})
        if verb not in _VERBS:
            raise self._refuse(f"不认识动作“{verb}”，可用：{'、'.join(sorted([*_VERBS, 'advance_clock']))}")
        args = self._mapping(value, *_VERBS[verb], verb)
        if verb == "refused":
            return Act(verb, {"code": str(args["code"]), "do": self._act(args["do"])})
        for key in ("by", "to"):
            if key in args and not (key == "to" and verb == "return"):  # where to: a step
                self._people(args[key], everyone=verb in ("read", "expect_closed"))
        return Act(verb, self._plain(args))

    def _duration(self, value: Any) -> timedelta:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self._refuse(f"时长“{value}”应写成 P3D、PT2H、P1DT8H30M 的样子")
        days, hours, minutes = (int(each or 0) for each in match.groups())
        return timedelta(days=days, hours=hours, minutes=minutes)

    def _people(self, value: Any, *, everyone: bool = False) -> None:
        for name in value if isinstance(value, list) else [value]:
            if name not in CAST and not (everyone and name == EVERYONE):
                raise self._refuse(f"演示医院里没有“{name}”，可用：{'、'.join(CAST)}")

    def _plain(self, value: Any) -> Any:
        """Return JSON's plain values: dates become ISO text."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._refuse("内容太多，请拆成几个文件")
        if isinstance(value, dict):
            return {str(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if isinstance(value, date | datetime):
            return value.isoformat()
        if value is None or isinstance(value, str | bool | int | float):
            return value
        raise self._refuse(f"不支持的值“{value}”")
