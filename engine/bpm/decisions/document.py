"""DMN files (1.1 to 1.5) to models: elements by id, requirements by key, imports by namespace."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lxml import etree

from engine import xml
from engine.bpm.decisions.model import Element, Key, Kind, Model
from engine.errors import Invalid

DMN = "omg.org/spec/DMN/"
"""Every version's namespace holds it: 20151101 is 1.1, 20180521 1.2, 20191111 1.3, 20211108 1.4, 20230324 1.5."""

BOXED = frozenset(
    "literalExpression context invocation functionDefinition list relation decisionTable "
    "conditional filter for some every".split()
)
MAX_TEXTS = 5_000
"""Expressions of one file: compiling them takes time."""
MAX_ELEMENTS = 20_000
"""Elements of one file, the drawing left out."""
MAX_ATTRIBUTE = 500
"""Characters of a name, a label, a reference: pages and messages repeat them."""
_PER_ELEMENT = 3  # characters that take as long to compile as an element
_KINDS = ("inputData", "decision", "businessKnowledgeModel", "decisionService")
_REQUIRED = ("requiredInput", "requiredDecision", "requiredKnowledge")


def local(element: etree._Element) -> str:
    """Return an element's name where it is DMN's own, else an empty string."""
    tag = etree.QName(element)
    return tag.localname if DMN in (tag.namespace or "") else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the children of that name."""
    return (child for child in element if local(child) == name)


def child(element: etree._Element, name: str) -> etree._Element | None:
    """Return the first child of that name."""
    return next(children(element, name), None)


def line_of(element: etree._Element) -> int:
    """Return the line of an element in its file."""
    line: Any = element.sourceline
    return int(line or 1)


def text_of(element: etree._Element | None) -> str:
    """Return the text of a child `text`, or of the element itself where it has none."""
    if element is None:
        return ""
    inner = child(element, "text")
    return ((element if inner is None else inner).text or "").strip()


def boxed(element: etree._Element) -> etree._Element | None:
    """Return the boxed expression that an element holds."""
    return next((inner for inner in element if local(inner) in BOXED), None)


def type_ref(element: etree._Element | None) -> str | None:
    """Return the name of a type as an attribute or a child says it."""
    if element is None:
        return None
    inner = child(element, "typeRef")
    said = element.get("typeRef") if inner is None else inner.text
    return (said or "").strip() or None


def name_of(element: etree._Element) -> str:
    """Return the name with single spaces."""
    return " ".join((element.get("name") or "").split())


def read_model(content: str | bytes, path: str) -> Model:
    """Return the model of one file; Invalid where it isn't a DMN file, or two elements have one id."""
    root = xml.parse(content, path)
    if local(root) != "definitions":
        raise Invalid(f"{path} 不是 DMN 文件：根元素应为 DMN 的 definitions", code="dmn_root", place=path, line=1)
    _check_size(root, path)
    namespace = root.get("namespace") or root.get("targetNamespace") or ""
    elements: dict[str, Element] = {}
    for source in root:
        if local(source) not in _KINDS:
            continue
        element = _element(source, namespace)
        if element.key[1] in elements:
            line = line_of(source)
            raise Invalid(
                f"{path} 第 {line} 行：id“{element.key[1]}”重复，请改成不同的 id",
                code="dmn_id_twice", place=path, line=line,
            )  # fmt: skip
        elements[element.key[1]] = element
    return Model(
        path=path,
        namespace=namespace,
        name=root.get("name") or path,
        imports={name_of(one): one.get("namespace") or "" for one in children(root, "import")},
        elements=elements,
        items={name_of(item): item for item in children(root, "itemDefinition")},
        length=sum(_PER_ELEMENT + len((one.text or "").strip()) for one in root.iter() if local(one)),
    )


def _check_size(root: etree._Element, path: str) -> None:
    """Refuse (Invalid) a file with more elements or expressions than can be compiled in the time there is."""
    for one in root.iter():
        if local(one) and any(len(value) > MAX_ATTRIBUTE for value in one.attrib.values()):
            line = line_of(one)
            message = f"{path} 第 {line} 行：名称或别的属性超过 {MAX_ATTRIBUTE} 个字符，请缩短"
            raise Invalid(message, code="dmn_too_large", place=path, line=line)
    kinds = Counter(map(local, root.iter()))
    counts = (("元素", kinds.total() - kinds[""], MAX_ELEMENTS), ("表达式", kinds["text"], MAX_TEXTS))
    for what, count, most in counts:
        if count > most:
            message = f"{path} 有 {count} 个{what}，超过 {most} 个，请拆成几个文件"
            raise Invalid(message, code="dmn_too_large", place=path, line=1)


def _element(source: etree._Element, namespace: str) -> Element:
    kind = cast(Kind, local(source))
    name, variable = name_of(source), child(source, "variable")
    logic = child(source, "encapsulatedLogic") if kind == "businessKnowledgeModel" else boxed(source)

    def keys(tag: str) -> tuple[Key, ...]:
        return tuple(_key(one, namespace) for one in children(source, tag))

    return Element(
        key=(namespace, source.get("id") or name),
        kind=kind,
        name=name,
        variable=name if variable is None else name_of(variable) or name,
        type_ref=type_ref(variable),
        source=source,
        logic=logic,
        requires=tuple(
            _key(one, namespace) for need in source for one in need if local(need) and local(one) in _REQUIRED
        ),
        outputs=keys("outputDecision"),
        encapsulated=keys("encapsulatedDecision"),
        input_decisions=keys("inputDecision"),
        input_data=keys("inputData"),
    )


def _key(reference: etree._Element, namespace: str) -> Key:
    href = reference.get("href") or ""
    base, _, id_ = href.rpartition("#")
    return base or namespace, id_


def connected(models: Mapping[str, Model]) -> Mapping[Key, Element]:
    """Return the elements of all models by key."""
    return {element.key: element for model in models.values() for element in model.elements.values()}
