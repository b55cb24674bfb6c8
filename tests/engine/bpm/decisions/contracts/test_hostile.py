"""Hostile files settle: a typed error or null with its reason, never a hang or a crash; and threads."""

import time
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from engine.bpm.decisions import Decisions, load, read
from engine.errors import EngineError
from tests.engine.bpm.decisions.contracts.files import (
    component,
    data,
    decision,
    item,
    knowledge,
    loaded,
    model,
    plain,
    service,
    table,
    text,
)

ONE = model(decision("D", text('"病"')))
BOMB = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "no xml",
        "<definitions/>",
        "<a/>",
        '{"json": 1}',
        BOMB + "]>" + ONE.replace("病", "&j;"),
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + ONE.replace("病", "&x;"),
        '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd">' + ONE,
        '<!DOCTYPE d [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>' + ONE,
        ONE[:-5],
        ONE.replace("病", "&undefined;"),
        ONE.replace("病", "\x01"),
        ONE.replace("病", "&#0;"),
        ONE.encode("utf-16"),
        ONE.encode("gbk"),
        ('<?xml version="1.0" encoding="GBK"?>' + ONE).encode("gbk"),
        ('<?xml version="1.0" encoding="UTF-7"?>' + ONE).encode(),
        b"\x00" * 100,
        b"\xff\xfe\x00",
        "<a>" * 100_000,
        "<a " + " ".join(f'a{n}=""' for n in range(50_000)) + "/>",
        model(decision("D", "<list>" * 300 + text("1") + "</list>" * 300)),
        model(decision("D", text("1")), decision("D", text("2"))),
        model('<import name="x" namespace="file:///etc/passwd" locationURI="../../etc/passwd" importType="x"/>'),
        ONE.replace("https://www.omg.org/spec/DMN/20230324/MODEL/", "urn:another"),
    ],
    ids=range(26),
)
def test_what_is_no_dmn_file_is_a_typed_error(content: str | bytes) -> None:
    start = time.monotonic()
    with pytest.raises(EngineError) as caught:
        read({"p/m.dmn": content}, "p/m.dmn")
    assert str(caught.value)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "content", [ONE.encode(), ("\ufeff" + ONE).encode(), '<?xml-stylesheet href="http://x/"?>' + ONE]
)
def test_what_is_a_dmn_file_is_read(content: str | bytes) -> None:
    assert read({"p/m.dmn": content}, "p/m.dmn").evaluate("D", {}) == "病"


@pytest.mark.parametrize(
    "parts",
    [
        (decision("A", text("B"), "=B"), decision("B", text("A"), "=A")),
        (decision("A", text("A"), "=A"),),
        (decision("A", text("B"), "=B"), decision("B", text("C"), "=C"), decision("C", text("A"), "=A")),
    ],
)
def test_circles_of_decisions_are_an_error(parts: tuple[str, ...]) -> None:
    with pytest.raises(EngineError, match="A"):
        loaded(*parts)


def test_circles_of_imports_settle() -> None:
    reference = '<import name="{}" namespace="{}" importType="https://www.omg.org/spec/DMN/20230324/MODEL/"/>'
    lib = model(reference.format("back", "urn:m"), decision("E", text("1")), namespace="urn:lib")
    with suppress(EngineError):
        assert loaded(reference.format("lib", "urn:lib"), decision("D", text("1")), lib=lib).evaluate("D", {}) == 1


@pytest.mark.parametrize(
    "parts",
    [
        (knowledge("f", "n", text("f(n)"), knows=("f",)), decision("D", text("f(1)"), knows=("f",))),
        (
            knowledge("f", "n", text("g(n)"), knows=("g",)),
            knowledge("g", "n", text("f(n)"), knows=("f",)),
            decision("D", text("f(1)"), knows=("f",)),
        ),
        (decision("D", text("S()"), knows=("S",)), service("S", out="D")),
        (decision("D", text("for i in 1..1000000000 return i")),),
        (
            knowledge("f0", "n", text("n")),
            *(knowledge(f"f{n}", "n", text(f"f{n - 1}(n) + f{n - 1}(n)"), knows=(f"f{n - 1}",)) for n in range(1, 40)),
            decision("D", text("f39(1)"), knows=("f39",)),
        ),
        (
            *(decision(f"D{n}", text("for i in 1..20000 return i")) for n in range(20)),
            decision("D", text("[" + ", ".join(f"D{n}" for n in range(20)) + "]"), *(f"=D{n}" for n in range(20))),
        ),
        (decision("D", text("().__class__.__bases__")),),
        (decision("D", text('__import__("os").getcwd()')),),
        (decision("D", text("1 + 1").replace("<literalExpression", '<literalExpression expressionLanguage="python"')),),
    ],
)
def test_runs_without_end_are_null_with_a_reason(parts: tuple[str, ...]) -> None:
    start = time.monotonic()
    try:
        decisions = loaded(*parts)
    except EngineError:
        return
    assert decisions.evaluate("D", {}) is None
    assert decisions.messages
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "types",
    [
        [item("A", "B"), item("B", "A")],
        [item("A", "A")],
        [item("A", "A", many=True)],
        [item("A", "", component("a", "A"))],
        [*(item("A" if n == 0 else f"T{n}", f"T{n + 1}") for n in range(2000)), item("T2000", "number")],
    ],
    ids=["two", "alias", "list", "component", "chain"],
)
def test_circles_and_chains_of_types_settle(types: list[str]) -> None:
    with suppress(EngineError):
        decisions = loaded(*types, data("x", "A"), decision("D", text("x"), "x"))
        decisions.evaluate("D", {"x": 1})
        decisions.evaluate("D", {"x": {"a": {"a": None}}})


def test_types_that_use_a_type_twice_are_read_in_no_time() -> None:
    types = [item("T0", "number")]
    types += [item(f"T{n}", "", component("a", f"T{n - 1}"), component("b", f"T{n - 1}")) for n in range(1, 41)]
    start = time.process_time()
    loaded(*types, data("x", "T40"), decision("D", text("x"), "x"))
    assert time.process_time() - start < 5


def test_a_decision_that_is_needed_often_is_made_once() -> None:
    chain = [decision(f"D{n}", text(f"D{n - 1} + D{n - 1}"), f"=D{n - 1}") for n in range(1, 50)]
    assert loaded(decision("D0", text("1")), *chain).evaluate("D49", {}) == 2**49


def test_recursion_that_finds_no_function_says_so() -> None:
    decisions = loaded(knowledge("fact", "n", text("if n < 2 then 1 else n * fact(n - 1)")))
    assert decisions.invoke("fact", {"n": 5}) in (None, 120)


def test_an_unknown_function_in_knowledge_is_a_reason() -> None:
    decisions = loaded(knowledge("f", "n", text("nothing(n)")))
    assert decisions.invoke("f", {"n": 5}) is None
    assert decisions.messages


def test_a_decision_that_is_not_there_is_a_typed_error() -> None:
    decisions = loaded(decision("D", text("1")))
    for ask in (decisions.evaluate, decisions.service, decisions.invoke):
        with pytest.raises(EngineError):
            ask("nothing", {})


def test_a_file_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        load(tmp_path / "nothing.dmn")


def test_files_of_the_folder_are_read_and_no_others(tmp_path: Path) -> None:
    reference = '<import name="lib" namespace="urn:lib" importType="https://www.omg.org/spec/DMN/20230324/MODEL/"/>'
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.dmn").write_text(model(reference, decision("D", text("lib.E"), "=urn:lib#_E")), "utf-8")
    (tmp_path / "lib.dmn").write_text(model(decision("E", text("1")), namespace="urn:lib"), "utf-8")
    with pytest.raises(EngineError):
        load(tmp_path / "in" / "m.dmn")
    (tmp_path / "in" / "lib.dmn").write_text(model(decision("E", text("1")), namespace="urn:lib"), "utf-8")
    (tmp_path / "in" / "broken.dmn").write_text("no xml", "utf-8")
    with suppress(EngineError):
        assert load(tmp_path / "in" / "m.dmn").evaluate("D", {}) == 1


def test_eight_threads_share_one_file_of_decisions() -> None:
    decisions = loaded(
        data("x", "number"),
        knowledge("twice", "n", text("n * 2")),
        decision("A", text("twice(x)"), "x", knows=("twice",)),
        decision("T", table("UNIQUE", ["A"], ["out"], ['< 10 | "a"', '>= 10 | "b"']), "=A"),
        decision("D", text("[x, A, T]"), "x", "=A", "=T"),
    )
    barrier = Barrier(8)
    wrong: list[Any] = []

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(100):
            wanted = [number, number * 2, "a" if number < 5 else "b"]
            if plain(decisions.evaluate("D", {"x": number})) != wanted or decisions.messages:
                wrong.append(number)
            if turn % 10 == 0:
                bad: Any = decisions.evaluate("D", {"x": "text"})
                if plain(bad) != [None, None, None] or not decisions.messages:
                    wrong.append((number, bad))

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert isinstance(decisions, Decisions)
