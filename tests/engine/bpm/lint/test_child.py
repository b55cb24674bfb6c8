"""The real parse: it says what the engine says, and can neither hang nor crash the caller."""

import json
import subprocess
import sys

import pytest

from engine.bpm.lint import check, child
from tests.engine.bpm.lint.diagrams import HEAD, simple


def test_what_the_engine_loads_has_no_findings() -> None:
    assert child.load_findings({"process.bpmn": simple()}) == []


def test_what_the_engine_refuses_is_one_finding() -> None:
    findings = child.load_findings({"process.bpmn": HEAD + "</bpmn:definitions>"})
    assert [(f.file, f.code, f.severity) for f in findings] == [("process.bpmn", "load_refused", "error")]
    assert "process.bpmn" in findings[0].message
    assert not findings[0].message.endswith("。")


def test_a_parse_that_takes_too_long_is_ended() -> None:
    findings = child.load_findings({"process.bpmn": simple()}, seconds=0.01)
    assert [(f.code, f.severity) for f in findings] == [("load_timeout", "error")]


def test_a_parse_that_crashes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    findings = child.load_findings({"process.bpmn": simple()})
    assert [(f.code, f.severity) for f in findings] == [("load_crashed", "error")]


def test_the_limits_hold_inside_the_child() -> None:
    code = (
        "import resource\nfrom engine.bpm import runtime\nfrom engine.bpm.lint import child\n"
        "def load(files):\n    assert resource.getrlimit(resource.RLIMIT_AS)[0] == child.MEMORY\n"
        "    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == child.SECONDS\n"
        "    return bytearray(2 * child.MEMORY)\n"
        "runtime.load = load\nchild.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"{}", capture_output=True, check=True)
    assert "内存" in json.loads(done.stdout)["message"]


def test_the_engine_is_asked_only_when_nothing_else_is_wrong() -> None:
    findings = check({"process.bpmn": HEAD + "</bpmn:definitions>"})
    assert [f.code for f in findings] == ["no_process"]
