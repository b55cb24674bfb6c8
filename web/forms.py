"""Forms on a page: from a form, its data and rights to the view that the macros in templates/form/ print."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from engine.bpm.forms import Component, Form, Lookups, Option, Rights, capitals
from engine.bpm.forms.html import ADD, REMOVE, TYPED
from engine.bpm.forms.settling import Settled, Settling, row_context
from engine.bpm.forms.validating import options
from engine.bpm.forms.values import UNRESOLVED, same_text
from engine.feel import Expression, FeelError, to_plain
from web import markdown

_PERSON = frozenset({"person", "people"})
_MOST_ROWS = 200


@dataclass(slots=True)
class Choice:
    """One option, chosen person or file of a field: `value` is what travels in HTML."""

    label: str
    value: str
    chosen: bool = False
    href: str = ""
    note: str = ""


@dataclass(slots=True)
class Cell:
    """One component as its macro prints it; `macro` is its name. `beside` is the half day that belongs to a date."""

    macro: str
    id: str = ""
    name: str = ""
    label: str = ""
    description: str = ""
    error: str = ""
    value: Any = ""
    note: str = ""
    required: bool = False
    depends: bool = False
    inputmode: str = ""
    autocomplete: str = ""
    prefix: str = ""
    suffix: str = ""
    most: int | None = None
    money: bool = False
    beside: "Cell | None" = None
    choices: list[Choice] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Block:
    """A `card` of neighbouring lines, or one other cell.

    The lines of a card are parts of one kind each: `inputs` in one list of cells, `values` in one definition list,
    `words` between them.
    """

    kind: str
    cells: list[Cell] = field(default_factory=list)
    parts: list["Block"] = field(default_factory=list)


def render(
    env: Environment,
    form: Form,
    *,
    data: Mapping[str, object],
    rights: Rights,
    errors: Sequence[Mapping[str, Any]] = (),
    lookups: Lookups,
    depends_url: str = "",
    nonce: str = "",
    attachment_url: Callable[[str], str] = "/attachments/{}".format,
) -> Markup:
    """Return the HTML of a form, without the `<form>` element around it.

    `data` is the current data overlaid with what was submitted; `errors` are those of `Invalid` (form_invalid). Fields
    that others depend on carry `data-depends`: on change the page posts the whole form to `depends_url` and gets this
    HTML anew; the buttons of dynamic lists do the same. `nonce` is the page's, for htmx under its CSP.
    """
    state, settling = form.settle(data, rights)
    view = _View(form, state, settling, rights, errors, lookups, attachment_url)
    blocks = view.blocks(form.components, state, state.context)
    rest = [message for place, message in view.errors.items() if place not in view.shown]
    page = env.get_template("form/form.html").module
    html: Markup = page.form(blocks, view.faults, rest, depends_url, nonce, ADD, REMOVE)  # type: ignore[attr-defined]
    return html


class _View:
    """Builds the cells of one form."""

    def __init__(
        self, form: Form, state: Settled, settling: Settling, rights: Rights, errors: Sequence[Mapping[str, Any]],
        lookups: Lookups, attachment_url: Callable[[str], str],
    ) -> None:  # fmt: skip
        self.form = form
        self.settling = settling
        self.rights = rights
        self.errors = {str(error["place"]): str(error["message"]) for error in errors}
        self.errors |= dict(settling.errors)
        self.shown: set[str] = set()
        self.faults: list[Cell] = []
        self.attachment_url = attachment_url
        self.lookups = lookups
        people, departments, files = form.references(state.context)
        self.people = lookups.people(people) if people else {}
        self.departments = lookups.departments(departments) if departments else {}
        self.files = lookups.files(files) if files else {}

    def blocks(
        self, components: Iterable[Component], state: Settled, context: Mapping[str, object], prefix: str = ""
    ) -> list[Block]:
        """Return the blocks of the components of one data object; `prefix` is that of the names of a row's fields."""
        blocks: list[Block] = []
        dates = set[str]()
        for component in components:
            if component.type == "datetime" and component.subtype == "date":
                dates.add(f"{prefix}{component.key}")
            if component.id in state.hidden or component.type == "expression":
                continue
            if component.key and not prefix and self.rights.of(component.key) == "hidden":
                continue
            kind, cell = self._cell(component, state, context, prefix)
            if cell is None:
                continue
            parts = blocks[-1].parts if blocks else []
            if kind == "other" or (component.type == "separator" and not parts):
                blocks.append(Block("other", [cell]))
            elif not parts:
                blocks.append(Block("card", parts=[Block(kind, [cell])]))
            elif parts[-1].kind != kind:
                parts.append(Block(kind, [cell]))
            elif _is_half_day(component) and (before := parts[-1].cells[-1]).name in dates:
                before.beside, cell.label = cell, f"{cell.label}：上午或下午"
            else:
                parts[-1].cells.append(cell)
        return blocks

    def _cell(
        self, component: Component, state: Settled, context: Mapping[str, object], prefix: str
    ) -> tuple[str, Cell | None]:
        name = f"{prefix}{component.key or component.id}"
        cell = Cell(
            component.type,
            id=f"f-{name}".translate(_ID),
            name=name,
            label=self._say(component.label, context, name),
            description=self._say(component.description, context, name),
            prefix=self._say(component.prefix, context, name),
            suffix=self._say(component.suffix, context, name),
            error=self.errors.get(name, ""),
        )
        self.shown.add(name)
        if cell.error:
            self.faults.append(cell)
        maker = _LAYOUT.get(component.type)
        if maker is not None:
            made = maker(self, component, cell, state, context, prefix)
            return "values" if cell.macro == "labelled" else _LINES.get(component.type, "other"), made
        if component.type == "dynamiclist":
            return "other", self._list(component, cell, state)
        value = state.context.get(component.key)
        if component.key not in state.editable:
            return "values", self._shown(component, cell, value, context)
        cell.required = component.rules.required
        cell.depends = component.key in self.form.depended
        return "inputs", self._input(component, cell, value, context)

    def _say(self, text: str | Expression, context: Mapping[str, object], place: str) -> str:
        if isinstance(text, str):
            return text
        value = self._plain(text, context, place)
        return "" if value is None else str(value)

    def _plain(self, expression: Expression, context: Mapping[str, object], place: str) -> Any:
        try:
            return to_plain(self.settling.value(expression, context, place))
        except FeelError:
            return None

    # Inputs

    def _input(self, component: Component, cell: Cell, value: Any, context: Mapping[str, object]) -> Cell:
        if component.widget in ("person", "people", "department", "departments"):
            return self._picker(component, cell, value)
        if component.options is not None:
            chosen = {same_text(each) for each in (value if isinstance(value, list) else [value]) if each is not None}
            found = options(component, context, self.settling, cell.name)
            cell.choices = [Choice(each.label, text := same_text(each.value), text in chosen) for each in found]
            return cell
        if component.type == "filepicker":
            cell.choices = self._files(value)
            cell.extra = {"accept": ",".join(component.accept), "multiple": component.multiple}
            if component.accept:
                takes = f"可选 {_file_types(component.accept)}"
                cell.description = f"{cell.description.rstrip('。')}。{takes}" if cell.description else takes
            return cell
        if component.type == "checkbox":
            cell.value = value is True
            return cell
        cell.value = "" if value is None else str(value)
        if component.type == "number":
            cell.value = _number_text(value)
            negative = isinstance(component.rules.min, Decimal) and component.rules.min < 0
            # Telephones show no minus sign on their number pads.
            cell.inputmode = "text" if negative else "numeric" if component.digits == 0 else "decimal"
            cell.note = _capitals(value) if component.widget == "money" else ""
            cell.money = component.widget == "money"
            cell.prefix = cell.prefix or ("¥" if cell.money else "")
        elif component.type == "datetime":
            cell.macro = component.subtype
            cell.value = cell.value[:5] if component.subtype == "time" else cell.value[:16]
        elif component.type in ("textfield", "textarea"):
            kind = {"email": "email", "phone": "tel"}.get(component.rules.kind, "")
            cell.inputmode = cell.autocomplete = kind
            most = component.rules.max_length
            cell.most = int(most) if isinstance(most, Decimal) else None
        return cell

    def _picker(self, component: Component, cell: Cell, value: Any) -> Cell:
        names = self.people if component.widget in _PERSON else self.departments
        ids = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each]
        cell.macro = "picker"
        cell.choices = [Choice(names.get(each, "（已不存在）"), each, True) for each in ids if each[0] != UNRESOLVED]
        cell.value = "、".join(each[1:] for each in ids if each[0] == UNRESOLVED)
        cell.extra = {"kind": component.widget, "many": component.many, "typed": TYPED}
        cell.note = "填写工号或姓名" if component.widget in _PERSON else "填写部门名称"
        if component.many:
            cell.note += "，多个用顿号分开"
        return cell

    def _files(self, value: Any) -> list[Choice]:
        ids = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each]
        found = []
        for each in ids:
            file = self.files.get(each)
            if file is None:
                found.append(Choice("（附件已不存在）", each, True))
            else:
                found.append(Choice(file.name, each, True, self.attachment_url(each), _size(file.size)))
        return found

    # Read only

    def _shown(self, component: Component, cell: Cell, value: Any, context: Mapping[str, object]) -> Cell:
        cell.macro = "value"
        # what nobody fills in says when it comes
        cell.extra = {"none": cell.description if component.readonly is True else ""}
        if component.type == "filepicker":
            cell.choices = self._files(value)
            return cell
        found = options(component, context, self.settling, cell.name) if component.options else ()
        cell.value = self.display(component, value, found, cell.prefix, cell.suffix)
        cell.note = _capitals(value) if component.widget == "money" else ""
        return cell

    def display(
        self, component: Component, value: Any, found: Sequence[Option] = (), prefix: str = "", suffix: str = ""
    ) -> str:
        """Return the text of a value that is only shown; empty when there is none."""
        if value is None or value == "" or value == []:
            return ""
        if component.widget in ("person", "people", "department", "departments"):
            names = self.people if component.widget in _PERSON else self.departments
            return "、".join(
                names.get(str(each), str(each)) for each in (value if isinstance(value, list) else [value])
            )
        if component.options is not None:
            labels = {same_text(each.value): each.label for each in found}
            values = value if isinstance(value, list) else [value]
            return "、".join(labels.get(same_text(each), same_text(each)) for each in values)
        if component.type == "checkbox":
            return "是" if value is True else "否"
        if component.type == "number":
            if component.widget == "money" and isinstance(value, int | float) and not isinstance(value, bool):
                return f"{prefix or '¥'}{Decimal(str(value)):,.2f}{suffix}"
            return f"{prefix}{_number_text(value)}{suffix}"
        if component.type == "datetime":
            return str(value).replace("T", " ")[: 5 if component.subtype == "time" else 16]
        return f"{prefix}{value}{suffix}"

    # Layout

    def _list(self, component: Component, cell: Cell, state: Settled) -> Cell:
        editable = component.key in state.editable
        rows = state.rows.get(component.key, [])[:_MOST_ROWS]
        for index, row in enumerate(rows):
            prefix = f"{component.key}[{index}]."
            blocks = self.blocks(component.children, row, row_context(state.context, row.context, index), prefix)
            cell.blocks.append(Block("row", [Cell("row", id=f"{cell.id}-{index}", name=prefix[:-1], blocks=blocks)]))
        cell.extra = {"change": editable and component.add_remove, "empty": not rows}
        return cell

    def group(
        self, component: Component, cell: Cell, state: Settled, context: Mapping[str, object], prefix: str
    ) -> Cell | None:
        """Return a group with its blocks, None when all of them are hidden."""
        cell.blocks = self.blocks(component.children, state, context, prefix)
        cell.extra = {"outline": component.outline}
        return cell if cell.blocks else None

    def table(
        self, component: Component, cell: Cell, state: Settled, context: Mapping[str, object], prefix: str
    ) -> Cell:
        """Return a table of the rows that its source holds now."""
        source = self._plain(component.expression, context, cell.name) if component.expression else None
        rows = [row for row in source if isinstance(row, Mapping)] if isinstance(source, list) else []
        columns = list(component.columns)
        if component.columns_expression is not None:
            found = self._plain(component.columns_expression, context, cell.name)
            columns = [
                (str(each.get("key", "")), str(each.get("label", each.get("key", ""))))
                for each in (found if isinstance(found, list) else [])
                if isinstance(each, Mapping)
            ]
        fields = self._columns_of(component)
        most = min(component.page or _MOST_ROWS, _MOST_ROWS)
        numeric = {key for key, _ in columns if _all_numbers([row.get(key) for row in rows])}
        cell.extra = {
            "columns": [(label, key in numeric) for key, label in columns],
            "rows": [[self._table_value(fields.get(key), row.get(key)) for key, _ in columns] for row in rows[:most]],
            "more": max(0, len(rows) - most),
        }
        return cell

    def _columns_of(self, component: Component) -> Mapping[str, Component]:
        """Return the fields of the dynamic list that a table shows, so that its values look as they do there."""
        names = component.expression.names if component.expression else frozenset()
        source = next((self.form.by_key[name] for name in names if name in self.form.by_key), None)
        return {each.key: each for child in source.children for each in child.walk() if each.key} if source else {}

    def _table_value(self, component: Component | None, value: Any) -> str:
        if component is not None:
            prefix, suffix = (text if isinstance(text, str) else "" for text in (component.prefix, component.suffix))
            found = component.options.static if component.options else ()
            return self.display(component, value, found, prefix, suffix)
        return "" if value is None else _number_text(value) if isinstance(value, int | float) else str(value)

    def text(
        self, component: Component, cell: Cell, state: Settled, context: Mapping[str, object], prefix: str
    ) -> Cell | None:
        """Return a text rendered from Markdown, None when it is empty.

        One line of the shape “天数：3 天” is how forms show what they compute: it stands as a value under its label.
        """
        text = self._say(component.text, context, cell.name)
        labelled = _LABELLED.fullmatch(text)
        if labelled:
            cell.macro, (cell.label, text) = "labelled", labelled.groups()
        cell.value = markdown.render(text)
        return cell if labelled or text else None

    def image(
        self, component: Component, cell: Cell, state: Settled, context: Mapping[str, object], prefix: str
    ) -> Cell | None:
        """Return an image, None when its attachment is not there for the viewer."""
        source = component.text
        value = self._plain(source, context, cell.name) if isinstance(source, Expression) else source
        if not isinstance(value, str):
            return None
        file = self.files.get(value) or self.lookups.files([value]).get(value)
        if file is None:
            return None
        cell.value = self.attachment_url(value)
        cell.label = self._say(component.alt, context, cell.name) or file.name
        return cell

    def spacing(
        self, component: Component, cell: Cell, state: Settled, context: Mapping[str, object], prefix: str
    ) -> Cell:
        """Return a separator or a spacer."""
        # Without inline styles a height can only be one of the classes' steps.
        cell.value = min(max(component.height // 16, 1), 6)
        return cell


_LAYOUT: Mapping[str, Callable[..., Cell | None]] = {
    "group": _View.group,
    "table": _View.table,
    "text": _View.text,
    "image": _View.image,
    "separator": _View.spacing,
    "spacer": _View.spacing,
}
_LINES = {"text": "words", "image": "words", "separator": "words"}
_LABELLED = re.compile(r"([^\W\d_][\w（）]{0,7})：[ \t]*(.*)")
_HALVES = {"上午", "下午"}
_FILE_TYPES = {
    **dict.fromkeys((".doc", ".docx"), "Word"),
    **dict.fromkeys((".xls", ".xlsx"), "Excel"),
    **dict.fromkeys((".ppt", ".pptx"), "PPT"),
    **dict.fromkeys((".jpg", ".jpeg"), "JPG"),
    "image/*": "图片",
    "video/*": "视频",
    "audio/*": "音频",
    "text/*": "文本",
}
_ID = {ord("["): "-", ord("]"): None, ord("."): "-"}


def _is_half_day(component: Component) -> bool:
    """Whether a field only chooses 上午 or 下午: it stands beside its date."""
    return component.options is not None and {option.label for option in component.options.static} == _HALVES


def _file_types(accept: Iterable[str]) -> str:
    """Return the kinds of files that a field takes, in words; empty where it takes any."""
    names = (_FILE_TYPES.get(each, each.removeprefix(".").upper()) for each in accept)
    return "、".join(dict.fromkeys(names))


def _all_numbers(values: list[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)


def _number_text(value: Any) -> str:
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return "" if value is None else str(value)


def _capitals(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        return capitals(Decimal(str(value)))
    except (ValueError, ArithmeticError):
        return ""


def _size(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.0f} KB" if size < 1024 * 1024 else f"{size / 1024 / 1024:.1f} MB"
