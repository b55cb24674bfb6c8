"""What a DMN file says (DMN 1.5, chapters 6 and 7): its requirements graph and types, as the evaluation reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lxml import etree

Kind = Literal["inputData", "decision", "businessKnowledgeModel", "decisionService"]
Key = tuple[str, str]
"""An element of any model: (namespace, id)."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the requirements graph (决策需求图): input data, decision, knowledge model or decision service.

    `requires` are the elements that its logic may name: input data, decisions and what can be invoked; of a decision
    service they are empty, and its four lists say what it takes and gives. `type_ref` is the type of its variable;
    `logic` its boxed expression.
    """

    key: Key
    kind: Kind
    name: str
    variable: str
    type_ref: str | None
    source: etree._Element = field(repr=False, compare=False)
    logic: etree._Element | None = field(default=None, repr=False, compare=False)
    requires: tuple[Key, ...] = ()
    outputs: tuple[Key, ...] = ()
    encapsulated: tuple[Key, ...] = ()
    input_decisions: tuple[Key, ...] = ()
    input_data: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One DMN file. `imports` maps the names it gives to other models to their namespaces ("" brings their own names).

    `items` are its item definitions (数据类型) by name, as elements. `length` counts the characters of its texts,
    and a few for each element.
    """

    path: str
    namespace: str
    name: str
    imports: Mapping[str, str]
    elements: Mapping[str, Element]
    items: Mapping[str, etree._Element] = field(repr=False)
    length: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be evaluated: where it stands, what is wrong and what to do, in Chinese."""

    path: str
    line: int
    element: str
    message: str
    cure: str = field(default="", compare=False)
