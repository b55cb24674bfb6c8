"""From the JSON of a form to its components, strictly: whatever would be ignored or misread is reported."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import regex

from engine.bpm.forms.patterns import Unsafe, compile_pattern
from engine.bpm.forms.planning import Cycle, plan
from engine.bpm.forms.reader import Reader, Report
from engine.bpm.forms.schema import PICKERS, Component, Option, Options, Rules
from engine.bpm.forms.values import Refused, normalise, same_text
from engine.feel.functions import BUILTINS

SCHEMA_VERSION = 19
MAX_COMPONENTS = 500
MAX_DEPTH = 8
MAX_OPTIONS = 1_000
MAX_ROWS = 200

REFUSED = {
    "html": "改用“文本”组件（Markdown）",
    "iframe": "改用“文本”组件，写上链接",
    "documentPreview": "改用“文件”组件，页面自带附件预览",
    "button": "删去按钮，页面自带办理按钮",
}
RESERVED = frozenset({"outcome", "steps", "initiator"})
# Properties of an HTML form that a field of the same name would hide from the browser.
_SHADOWING = frozenset({"action", "method", "submit", "reset", "elements", "target", "enctype"})
# Words that an expression can't use as a name; `this`, `parent` and `i` are set within rows.
_WORDS = frozenset(
    "if then else for in return some every satisfies and or between function true false null instance of external not "
    "item partial this parent i".split()
)
_KEY = regex.compile(r"[^\W\d_]\w{0,63}")
_ID = regex.compile(r"[\w.-]{1,64}")

_COMMON = frozenset({"layout"})


class Loader:
    """Reads the components of one form; `keys` grows with each field."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.count = 0
        self.ids: set[str] = set()

    def components(self, items: list[Any], place: str, keys: set[str], depth: int, *, row: bool) -> list[Component]:
        """Return the components of one list; `keys` are those of the same data object, `row`: of a dynamic list."""
        found: list[Component] = []
        for index, source in enumerate(items):
            where = f"{place}[{index}]"
            if not isinstance(source, dict):
                self.report.error(where, "组件应为对象")
                continue
            self.count += 1
            if self.count > MAX_COMPONENTS or depth > MAX_DEPTH:
                self.report.error(where, f"表单至多 {MAX_COMPONENTS} 个组件、{MAX_DEPTH} 层分组")
                return found
            component = self._component(Reader(source, where, self.report), keys, depth, row=row)
            if component is not None:
                found.append(component)
        return found

    def _component(self, reader: Reader, keys: set[str], depth: int, *, row: bool) -> Component | None:
        kind = reader.text("type")
        if kind in REFUSED:
            reader.error("type", f"组件类型“{kind}”不允许", REFUSED[kind])
            return None
        read = _READERS.get(kind)
        if read is None:
            reader.error("type", f"组件类型“{kind[:50]}”不认识", f"可用：{'、'.join(_READERS)}")
            return None
        key_name = "path" if kind == "dynamiclist" else "key"
        key = self._key(reader, key_name, keys) if kind in _KEYED else ""
        identity = reader.text("id") or f"{key or kind}@{reader.place}"
        if identity in self.ids:
            reader.error("id", f"id“{identity[:50]}”重复", "改为唯一的 id")
        self.ids.add(identity)
        conditional = reader.object("conditional")
        hide = conditional.feel("hide")
        conditional.finish(strict=True)
        custom = reader.object("properties")
        common: dict[str, Any] = {
            "type": kind,
            "id": identity,
            "place": reader.place,
            "key": key,
            "hide": hide,
            "rule": custom.feel("rule"),
            "rule_message": custom.text("ruleMessage"),
        }
        if kind in _LABELLED:
            common |= {"label": reader.templated("label"), "description": reader.templated("description")}
        if key and kind not in ("expression", "dynamiclist"):
            readonly = reader.flag_or_feel("readonly")
            common["readonly"] = reader.flag("disabled") or readonly
            common["rules"] = _rules(reader.object("validate"))
        read(self, reader, common, custom)
        if kind in ("group", "dynamiclist"):
            self._container(reader, common, keys, depth, row=row)
        custom.finish()
        reader.finish(_COMMON)
        component = Component(**common)
        if component.is_input and not component.label:
            self.report.warn(reader.place, f"“{component.name}”没有标题", "写上 label，读屏软件也要读它")
        if component.default is not None:
            try:
                normalise(component, component.default)
            except Refused as refusal:
                reader.error("defaultValue", f"默认值无效：{refusal}")
        return component

    def _key(self, reader: Reader, name: str, keys: set[str]) -> str:
        key = reader.text(name)
        if not _KEY.fullmatch(key):
            cure = "以字母或汉字开头，只含字母、汉字、数字和下划线，至多 64 个字"
            reader.error(name, f"字段名“{key[:50]}”不合规则" if key else f"缺少“{name}”", cure)
            # A field without a name still has its other properties checked.
            return "_"
        if key in RESERVED or key in _SHADOWING or key in _WORDS or key in BUILTINS:
            reader.error(name, f"字段名“{key}”是保留名或表达式函数名", f"改名，如 {key}_1")
        if key in keys:
            reader.error(name, f"字段名“{key}”重复", "每个字段用不同的名称")
        keys.add(key)
        return key

    def _container(self, reader: Reader, common: dict[str, Any], keys: set[str], depth: int, *, row: bool) -> None:
        rows = common["type"] == "dynamiclist"
        if rows and row:
            reader.error("", "动态列表不能嵌套", "拆成两个列表，或改用分组")
        inner: set[str] = set() if rows else keys
        place = f"{reader.place}.components"
        items = reader.items("components", MAX_COMPONENTS)
        children = self.components(items, place, inner, depth + 1, row=rows or row)
        common["children"] = tuple(children)
        if not rows:
            return
        common["plan"] = self.plan(children, place)
        if common["add_remove"]:
            for child in walk(children):
                if child.is_input and child.readonly:
                    # Rows are known by their position only, so a kept value could slip to another row.
                    self.report.error(
                        child.place, f"“{child.name}”只读，而列表可以增删行", "关闭增删行，或改用“表达式”组件"
                    )

    def plan(self, components: Iterable[Component], place: str) -> tuple[Any, ...]:
        """Return the order in which conditions are settled; a cycle is reported."""
        try:
            return plan(components)
        except Cycle as cycle:
            self.report.error(place, f"条件互相依赖：{'、'.join(cycle.names)}", "去掉其中一个条件")
            return ()


def walk(components: Iterable[Component]) -> Iterable[Component]:
    """Yield components and those of their groups."""
    for component in components:
        yield from component.walk()


def _rules(reader: Reader) -> Rules:
    pattern = reader.text("pattern")
    rules = Rules(
        required=reader.flag("required"),
        min=reader.number_or_feel("min"),
        max=reader.number_or_feel("max"),
        min_length=reader.number_or_feel("minLength"),
        max_length=reader.number_or_feel("maxLength"),
        pattern=_pattern(reader, pattern) if pattern else None,
        pattern_message=reader.text("patternErrorMessage"),
        kind=reader.choice("validationType", ("", "email", "phone", "custom"), ""),
    )
    reader.finish(strict=True)
    return rules


def _pattern(reader: Reader, pattern: str) -> "regex.Pattern[str] | None":
    try:
        return compile_pattern(pattern)
    except Unsafe as unsafe:
        reader.error("pattern", str(unsafe))
        return None


def _widget(custom: Reader, common: dict[str, Any], choices: Collection[str]) -> None:
    common["widget"] = custom.choice("widget", ("", *choices), "")


def _adorners(reader: Reader, common: dict[str, Any]) -> None:
    appearance = reader.object("appearance")
    common["prefix"] = appearance.templated("prefixAdorner")
    common["suffix"] = appearance.templated("suffixAdorner")
    appearance.finish()


def _textfield(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    _adorners(reader, common)
    _widget(custom, common, PICKERS)
    common["default"] = reader.take("defaultValue")


def _textarea(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["default"] = reader.take("defaultValue")


def _number(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    _adorners(reader, common)
    _widget(custom, common, ("money",))
    digits = reader.integer("decimalDigits", -1, 0, 10)
    if common["widget"] == "money":
        digits = 2 if digits < 0 else min(digits, 2)
    common["digits"] = None if digits < 0 else digits
    increment = reader.number("increment")
    if increment is not None and increment <= 0:
        reader.error("increment", "“increment”应大于 0")
        increment = None
    common["increment"] = increment
    common["default"] = reader.take("defaultValue")
    if reader.flag("serializeToString"):
        reader.error("serializeToString", "数字不能存为文本", "关闭“以文本输出”")


def _datetime(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    subtype = common["subtype"] = reader.choice("subtype", ("date", "time", "datetime"), "date")
    date_label, time_label = reader.templated("dateLabel"), reader.templated("timeLabel")
    common["label"] = common["label"] or (time_label if subtype == "time" else date_label)
    common["disallow_past"] = reader.flag("disallowPassedDates")
    common["default"] = reader.take("defaultValue")
    # Shape of the editor's own input; here values are always ISO in the hospital's time.
    reader.flag("use24h")
    reader.integer("timeInterval", 15, 1, 60)
    reader.choice("timeSerializingFormat", ("", "utc_offset", "utc_normalized", "no_timezone"), "")


def _checkbox(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["default"] = reader.take("defaultValue")


def _choices(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    if common["type"] == "taglist":
        _widget(custom, common, PICKERS)
    reader.flag("searchable")
    common["default"] = reader.take("defaultValue")
    static = reader.take("values")
    choices = _static_options(reader, static) if static is not None else ()
    options = common["options"] = Options(
        static=choices,
        by_text={same_text(choice.value): choice.value for choice in choices},
        key=reader.text("valuesKey"),
        expression=reader.feel("valuesExpression"),
    )
    if common.get("widget"):
        return
    if (static is not None) + bool(options.key) + (options.expression is not None) != 1:
        reader.error("values", "选项来源应恰有一个", "values、valuesKey、valuesExpression 三者留一个")


def _static_options(reader: Reader, source: Any) -> tuple[Option, ...]:
    if not isinstance(source, list) or not 1 <= len(source) <= MAX_OPTIONS:
        reader.error("values", f"“values”应为 1 到 {MAX_OPTIONS} 项的列表")
        return ()
    options = []
    for index, item in enumerate(source):
        place = f"{reader.place}.values[{index}]"
        option = Reader(item if isinstance(item, dict) else {}, place, reader.report)
        value, label = option.take("value"), option.text("label")
        option.finish(strict=True)
        if isinstance(value, str) and 0 < len(value) <= 200:
            options.append(Option(label or value, value))
        elif isinstance(value, bool | int | float) and abs(value) < 10**15:
            options.append(Option(label or str(value), value))
        else:
            reader.report.error(place, "选项的 value 应为文本、数字或真假")
    if len({same_text(option.value) for option in options}) != len(options):
        reader.error("values", "选项的 value 有重复", "每个选项用不同的 value")
    return tuple(options)


def _filepicker(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["multiple"] = reader.flag("multiple")
    accept = (part.strip().lower() for part in reader.text("accept").split(","))
    common["accept"] = tuple(part for part in accept if part)
    for part in common["accept"]:
        if not regex.fullmatch(r"\.[a-z0-9.]{1,10}|[a-z]+/(\*|[a-z0-9.+-]+)", part):
            reader.error("accept", f"“accept”中的“{part[:30]}”不认识", "写扩展名或类型，如 .pdf,.docx,image/*")


def _expression(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["expression"] = reader.feel("expression")
    reader.choice("computeOn", ("", "change", "presubmit"), "")
    if common["expression"] is None:
        reader.error("expression", "表达式为空", "写一个以 = 开头的 FEEL 表达式")


def _group(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["outline"] = reader.flag("showOutline", default=True)
    reader.text("verticalAlignment")
    if reader.text("path"):
        reader.error("path", "分组不能有自己的数据路径", "删去 path，字段直接放在表单数据中")


def _dynamiclist(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    reader.flag("isRepeating", default=True)
    reader.flag("showOutline")
    reader.text("verticalAlignment")
    reader.flag("disableCollapse")
    reader.integer("nonCollapsedItems", 5, 0, MAX_ROWS)
    common["add_remove"] = reader.flag("allowAddRemove", default=True)
    common["repetitions"] = reader.integer("defaultRepetitions", 1, 0, 50)


def _table(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    source = reader.text("dataSource")
    if not source:
        reader.error("dataSource", "表格缺少数据来源", "写列表字段名，或以 = 开头的表达式")
    elif source.startswith("="):
        common["expression"] = reader.compiled("dataSource", source)
    elif _KEY.fullmatch(source):
        common["expression"] = reader.compiled("dataSource", f"={source}")
    else:
        reader.error("dataSource", f"数据来源“{source[:50]}”不是字段名")
    common["page"] = reader.integer("rowCount", 0, 1, MAX_ROWS)
    common["columns_expression"] = reader.feel("columnsExpression")
    columns = []
    for index, item in enumerate(reader.items("columns", 50)):
        column = Reader(item if isinstance(item, dict) else {}, f"{reader.place}.columns[{index}]", reader.report)
        key = column.text("key")
        if not key:
            column.error("key", "列缺少 key")
        columns.append((key, column.text("label") or key))
        column.finish(strict=True)
    common["columns"] = tuple(columns)
    if bool(columns) == (common["columns_expression"] is not None):
        reader.error("columns", "列应恰有一个来源", "columns、columnsExpression 二者留一个")


def _text(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["text"] = reader.templated("text")


def _image(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    source = common["text"] = reader.templated("source")
    common["alt"] = reader.templated("alt")
    if isinstance(source, str) and not _ID.fullmatch(source):
        reader.error("source", "图片只能是本系统的附件", "写附件 id，或以 = 开头、结果为附件 id 的表达式")


def _spacer(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    common["height"] = reader.integer("height", 60, 1, 1_000)


def _separator(loader: Loader, reader: Reader, common: dict[str, Any], custom: Reader) -> None:
    pass


_READERS: Mapping[str, Callable[[Loader, Reader, dict[str, Any], Reader], None]] = {
    "textfield": _textfield,
    "textarea": _textarea,
    "number": _number,
    "datetime": _datetime,
    "checkbox": _checkbox,
    "checklist": _choices,
    "radio": _choices,
    "select": _choices,
    "taglist": _choices,
    "filepicker": _filepicker,
    "expression": _expression,
    "group": _group,
    "dynamiclist": _dynamiclist,
    "table": _table,
    "text": _text,
    "image": _image,
    "separator": _separator,
    "spacer": _spacer,
}
_KEYED = frozenset(_READERS) - {"group", "table", "text", "image", "separator", "spacer"}
_LABELLED = _KEYED - {"expression"} | {"group", "table"}
