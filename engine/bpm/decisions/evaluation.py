"""The decisions of a DMN file (决策): compiled once, evaluated often, along their requirements (DMN 1.5, 10.4)."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.bpm.decisions.boxed import READERS, function, names_of, parameters
from engine.bpm.decisions.document import connected, line_of
from engine.bpm.decisions.hit_policies import Hit
from engine.bpm.decisions.items import Items, ItemType, feel_type, limited
from engine.bpm.decisions.model import Element, Key, Kind, Model, Problem
from engine.bpm.decisions.reading import Reader, Text, fit, unwrapped
from engine.bpm.decisions.tables import Table
from engine.errors import NotFound
from engine.feel import DEFAULT_LIMITS, Expression, FeelError, FeelFunction, Limits, number
from engine.feel import nodes as n
from engine.feel.explaining import explain
from engine.feel.expression import compile_tree
from engine.feel.limits import Run
from engine.feel.types import FeelType
from engine.feel.values import Value

_KIND_NAMES = {"decision": "决策", "decisionService": "决策服务", "businessKnowledgeModel": "业务知识模型"}


@dataclass(frozen=True, slots=True)
class Decided:
    """What an evaluation gave: the value, why it (or a part of it) is null, and the rules that were hit."""

    value: Value
    messages: tuple[str, ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """An element with its code; `wanted` is the type of its value, of a function's result where it is invoked."""

    element: Element
    model: Model
    code: Expression | None
    wanted: ItemType | None


class Decisions:
    """The decisions of one DMN file; immutable, shared between threads."""

    def __init__(self, models: Mapping[str, Model], root: Model) -> None:
        self._models, self.model = models, root
        self._elements = connected(models)
        self.problems: list[Problem] = []
        """What can't be evaluated: wrong expressions, unknown types and references, circles."""
        self.texts: list[Text] = []
        """Every FEEL text of the file and its imports, with what is known where it stands."""
        self._items: dict[str, Items] = {}
        for namespace, model in models.items():
            self._items[namespace] = Items(model, self._items.get, self.problems)
        for items in self._items.values():
            items.read_all()
        self._last = threading.local()
        self._compiled = {key: self._compile(element) for key, element in self._elements.items()}

    @property
    def length(self) -> int:
        """The length of the file and its imports, see `Model`."""
        return sum(model.length for model in self._models.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the file's own decisions, in its order."""
        return tuple(e.name for e in self.model.elements.values() if e.kind == "decision")

    @property
    def tables(self) -> tuple[Table, ...]:
        """The decision tables of the file itself, in its order."""
        own = (self._compiled[element.key].code for element in self.model.elements.values())
        return tuple(table for code in own if code is not None for table in _tables(code.tree))

    def type_of(self, name: str) -> FeelType:
        """Return the type of a decision's result, with the values that its table may give; raises as `inputs`."""
        one = self._compiled[self._find(name, "decision").key]
        table = None if one.code is None else unwrapped(one.code.tree)
        if isinstance(table, Table) and len(table.outputs) == 1 and not table.many:
            (output,) = table.outputs
            return limited(feel_type(one.wanted or output.wanted), output.values)
        return feel_type(one.wanted)

    def inputs(self, name: str) -> tuple[str, ...]:
        """Return the names of the input data that a decision needs, those of the decisions that it asks included.

        Raises NotFound for a name that the file does not have.
        """
        return tuple(self.input_types(name))

    def input_types(self, name: str) -> Mapping[str, FeelType]:
        """Return the declared types of a decision's `inputs` by name; raises as it."""
        found: dict[str, FeelType] = {}
        pending, seen = [self._find(name, "decision").key], set[Key]()
        while pending:
            key = pending.pop(0)
            if key in seen or key not in self._elements:
                continue
            seen.add(key)
            element = self._elements[key]
            if element.kind == "inputData":
                found[element.name] = feel_type(self._compiled[key].wanted)
            pending += element.requires
        return found

    @property
    def messages(self) -> tuple[str, ...]:
        """Why the last value that this thread asked for, or a part of it, is null."""
        found: tuple[str, ...] = getattr(self._last, "messages", ())
        return found

    def evaluate(self, name: str, inputs: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Value:
        """Return the value of a decision by its name or id, see `decide`; `messages` says why it is null."""
        return self._kept(self.decide(name, inputs, limits=limits))

    def service(self, name: str, inputs: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Value:
        """Return the value of a decision service: of its output decision, or a context of several.

        `inputs` are its input data and input decisions by name; one that is missing is null. Errors as `decide`.
        """
        element = self._find(name, "decisionService")

        def call(evaluation: "_Evaluation") -> Value:
            return evaluation.served(element, [inputs.get(self._elements[key].name) for key in _takes(element)])

        return self._kept(self._run(call, inputs, limits))

    def invoke(self, name: str, parameters: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Value:
        """Return what a business knowledge model (业务知识模型) answers to named parameters. Errors as `decide`."""
        element = self._find(name, "businessKnowledgeModel")

        def call(evaluation: "_Evaluation") -> Value:
            callee = evaluation.value(element.key)
            if type(callee) is not FeelFunction or set(callee.parameters or ()) != set(parameters):
                evaluation.run.note(f"“{name}”要的参数是：{'、'.join(getattr(callee, 'parameters', None) or ('无',))}")
                return None
            return callee.call(evaluation.run, [number(parameters[key]) for key in callee.parameters or ()])

        return self._kept(self._run(call, {}, limits))

    def decide(self, name: str, inputs: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Decided:
        """Evaluate a decision by its name or id.

        `inputs` are the input data by name, as JSON's plain values or FEEL's. Those of an imported model may also be
        given as `{namespace}name`, or inside a context that bears the import's name. A missing one is null, and so
        is one of another type than declared. A failed evaluation is null, with its reasons in the messages.
        Raises NotFound for a name that the file does not have; Invalid where an input is no data.
        """
        element = self._find(name, "decision")
        return self._run(lambda evaluation: evaluation.value(element.key), inputs, limits)

    def _kept(self, decided: Decided) -> Value:
        self._last.messages = decided.messages
        return decided.value

    def _find(self, name: str, kind: Kind) -> Element:
        plain = " ".join(name.split())
        for element in self.model.elements.values():
            if element.kind == kind and plain in (element.name, element.key[1]):
                return element
        raise NotFound(f"{self.model.path} 里没有名为“{plain[:80]}”的{_KIND_NAMES[kind]}", code="decision_not_found")

    def _run(self, ask: Callable[["_Evaluation"], Value], inputs: Mapping[str, object], limits: Limits) -> Decided:
        run = Run(limits)
        try:
            value = ask(_Evaluation(self._compiled, self._models, inputs, run))
        except FeelError as error:
            run.messages.append(error.message)  # however many there are: nothing else says why there is no value
            value = None
        return Decided(value, tuple(dict.fromkeys(run.messages)), tuple(run.trace))

    def _compile(self, element: Element) -> _Compiled:
        model = self._models[element.key[0]]
        items = self._items[element.key[0]]
        wanted = items.find(element.type_ref, element.source)
        missing = [key for key in (*element.requires, *_takes(element), *element.outputs) if key not in self._elements]
        said = {(one.get("href") or "").rpartition("#")[2]: one for one in element.source.iter()} if missing else {}
        for _, id_ in missing:
            line = line_of(said.get(id_, element.source))
            message = f"引用的元素“{id_}”不存在"
            self.problems.append(Problem(model.path, line, element.name, message, "删去这条线，重新连到要用的元素"))
        if element.kind == "businessKnowledgeModel" and wanted is not None and wanted.result is not None:
            wanted = wanted.result()
        if element.logic is None:
            return _Compiled(element, model, None, wanted)
        spelled = items.names | names_of([element.logic])
        declared = self._sight(element, model)
        sight = {name: feel_type(kind) for name, kind in declared.items()}
        reader = Reader(READERS, model.path, items, self.problems, element.name, sight, spelled, self.texts, declared)
        invoked = element.kind == "businessKnowledgeModel"
        tree = function(reader, element.logic) if invoked else reader.node(element.logic)
        try:
            return _Compiled(element, model, compile_tree(tree, element.name), wanted)
        except FeelError as error:
            failing = reader.fails(element.logic, error.message)
            return _Compiled(element, model, compile_tree(failing, element.name), wanted)

    def _sight(self, element: Element, model: Model) -> dict[str, ItemType | None]:
        """Return the names that an element's logic may use, with their types where they are declared."""
        sight: dict[str, ItemType | None] = {alias: None for alias in model.imports if alias}
        for key in element.requires:
            required = self._elements.get(key)
            if required is not None:
                valued = required.kind in ("inputData", "decision")
                wanted = self._items[key[0]].find(required.type_ref, required.source) if valued else None
                sight[required.variable] = wanted
        return sight


class _Evaluation:
    """One evaluation: every element's value once, in the order in which they are asked for."""

    def __init__(
        self, compiled: Mapping[Key, _Compiled], models: Mapping[str, Model], inputs: Mapping[str, object], run: Run,
        given: Mapping[Key, Value] | None = None,
    ) -> None:  # fmt: skip
        self._compiled, self._models, self._inputs, self.run = compiled, models, inputs, run
        self._values: dict[Key, Value] = dict(given or {})

    def value(self, key: Key) -> Value:
        """Return the value of an element: an input, a decision's result, or a function to invoke."""
        if key not in self._values:
            self._values[key] = self._evaluated(key)
        return self._values[key]

    def _evaluated(self, key: Key) -> Value:
        self.run.enter()
        try:
            one = self._compiled[key]
            if one.element.kind == "inputData":
                return self._fitted(one, self._input(one))
            if one.element.kind == "decisionService":
                return self._service(one.element)
            if one.code is None:
                self.run.note(f"“{one.element.name}”没有决策逻辑")
                return None
            if one.element.kind == "businessKnowledgeModel":
                return self._knowledge(one, one.code)
            return self._fitted(one, self._logic(one, one.code))
        finally:
            self.run.leave()

    def _logic(self, one: _Compiled, code: Expression) -> Value:
        context, run = self._context(one), self.run
        said = len(run.messages), len(run.trace)
        run.charge(code.tree.weight)  # a decision service may be called in a loop
        value = code.run(context, run)
        # A table that no rule of matches is a null that needs no reason, wherever in the expression it stands.
        unsaid = value is None and (len(run.messages), len(run.trace)) == said
        if unsaid and (reason := explain(code.tree, (context, run))):
            run.note(f"“{one.element.name}”的结果为空：{reason}")
        return value

    def _fitted(self, one: _Compiled, value: Value) -> Value:
        what = "输入" if one.element.kind == "inputData" else ""
        return fit(value, one.wanted, f"{what}“{one.element.name}”的值", self.run)

    def _input(self, one: _Compiled) -> Value:
        (namespace, _), name = one.element.key, one.element.name
        if len(self._models) == 1 and name in self._inputs:
            return number(self._inputs[name])
        qualified = f"{{{namespace}}}{name}"
        for inputs in (self._inputs, *self._within(namespace)):
            for written in (qualified, name):
                if written in inputs:
                    return number(inputs[written])
        self.run.note(f"没有给出输入“{name}”")
        return None

    def _within(self, namespace: str) -> list[Mapping[str, object]]:
        """Return the contexts among the inputs that bear the name of an import of that model."""
        found: list[Mapping[str, object]] = []
        pending: list[Mapping[str, object]] = [self._inputs]
        aliases = {alias: target for model in self._models.values() for alias, target in model.imports.items()}
        for _ in range(len(self._models)):
            inner = [
                (alias, entry) for inputs in pending for alias in aliases
                if isinstance(entry := inputs.get(alias), Mapping)
            ]  # fmt: skip
            found += [entry for alias, entry in inner if aliases[alias] == namespace]
            pending = [entry for _, entry in inner]
        return found

    def _context(self, one: _Compiled) -> dict[str, Value]:
        """Return what an element's logic may name: its requirements, those of imports inside the import's context."""
        context: dict[str, Value] = {}
        for key in one.element.requires:
            required = self._compiled.get(key)
            if required is None:
                continue
            value, name = self.value(key), required.element.variable
            aliases = [alias for alias, namespace in one.model.imports.items() if namespace == key[0]]
            if key[0] == one.model.namespace or not aliases or "" in aliases:
                context[name] = value
            for alias in filter(None, aliases):
                context.setdefault(alias, {})[name] = value
        return context

    def _knowledge(self, one: _Compiled, code: Expression) -> FeelFunction:
        """Return a knowledge model's function. Made when it is first called, so that one may require itself."""
        made: list[Value] = []

        def call(run: Run, given: Sequence[Value]) -> Value:
            if not made:
                made.append(code.run(self._context(one), run))
            return self._fitted(one, made[0].call(run, given) if type(made[0]) is FeelFunction else None)

        return FeelFunction(parameters(one.element.logic), call)

    def _service(self, element: Element) -> FeelFunction:
        names = tuple(self._compiled[key].element.variable for key in _takes(element) if key in self._compiled)
        return FeelFunction(names, lambda run, given: self.served(element, given))

    def served(self, element: Element, given: Sequence[object]) -> Value:
        """Return what a decision service answers to its inputs, in their order; null where one isn't of its type."""
        bound: dict[Key, Value] = {}
        for key, one in zip(_takes(element), given, strict=False):
            if key in self._compiled:
                bound[key] = self._fitted(self._compiled[key], number(one))
                if bound[key] is None and one is not None:
                    return None
        inner = _Evaluation(self._compiled, self._models, {}, self.run, bound)
        self.run.enter()
        try:
            outputs = [self._compiled[key].element for key in element.outputs if key in self._compiled]
            results = {output.variable: inner.value(output.key) for output in outputs}
        finally:
            self.run.leave()
        value = next(iter(results.values())) if len(results) == 1 else results
        return self._fitted(self._compiled[element.key], value)


def _takes(element: Element) -> tuple[Key, ...]:
    """Return what a decision service takes, in the order of its parameters: input data, then decisions."""
    return (*element.input_data, *element.input_decisions)


def _tables(node: n.Node) -> list[Table]:
    found = [node] if isinstance(node, Table) else []
    for child in node.children():
        found += _tables(child)
    return found
