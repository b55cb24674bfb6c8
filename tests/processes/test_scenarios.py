"""The runner itself: it reads strictly, and a story that isn't so is reported with what was open instead."""

import shutil
from pathlib import Path

import pytest

import engine.registry
from engine.bpm.scenarios import load, run
from engine.db import Database
from engine.errors import Invalid

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
START = "- name: 甲\n  start: {by: doctor}\n"

assert engine.registry  # importing it registers operations and handlers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "至少一个"),
        ("a: [", "不是正确的 YAML"),
        ("- 1", "应写成“键: 值”"),
        (f"{START}  end: {{state: running}}\n  ends: 1", "不认识“ends”"),
        (f"{START}  end: {{state: running}}\n  end: {{state: running}}", "“end”写了两次"),
        (START, "缺少“end”"),
        (f"{START}  end: {{stat: running}}", "不认识“stat”"),
        ("- name: 甲\n  start: {by: nobody_here}\n  end: {state: running}", "没有“nobody_here”"),
        (f"{START}  at: 2026-03-02\n  end: {{state: running}}", "带时区"),
        (f"{START}  steps: [{{approve: {{}}}}]\n  end: {{state: running}}", "不认识动作“approve”"),
        (f"{START}  steps: [{{claim: {{step: a}}}}]\n  end: {{state: running}}", "claim缺少“by”"),
        (f"{START}  steps: [{{claim: {{step: a, by: everyone}}}}]\n  end: {{state: running}}", "没有“everyone”"),
        (f"{START}  steps: [{{advance_clock: 3 days}}]\n  end: {{state: running}}", "应写成 P3D"),
        (f"{START}  steps: [{{refused: {{code: a, do: {{x: 1}}}}}}]\n  end: {{state: running}}", "不认识动作“x”"),
        (f"{START}  end: {{state: running}}\n{START}  end: {{state: running}}", "同名"),
        ("- name: 甲\n  start: {by: doctor, refused: any}\n  end: {state: running}", "没有 steps 和 end"),
    ],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=r"scenarios\.yaml") as refusal:
        load(text)
    assert said in refusal.value.message


def test_dates_and_repeated_parts_become_plain_values() -> None:
    (story,) = load(
        "- name: 甲\n  start: {by: doctor, data: &d {day: 2026-03-03}}\n"
        "  steps: [{complete: {step: a, by: doctor, outcome: b, data: {<<: *d, n: 1.5}}}]\n  end: {state: running}"
    )
    assert story.data == {"day": "2026-03-03"}
    assert story.acts[0].args["data"] == {"day": "2026-03-03", "n": 1.5}


@pytest.mark.backend("sqlite")
def test_what_is_not_so_is_reported_with_what_was_open(committed_db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "seal_use"
    shutil.copytree(PROCESSES / "seal_use", folder)
    start = """
  start:
    by: doctor
    data: &d
      {subject: 证明, seal: 医院公章, copies: 1, use_type: 内部, reason: 晋升, attachments: ["@file:证明.pdf"]}
"""
    again = "\n  start: {by: doctor, data: *d}\n"
    approve = "{complete: {step: head_review, by: pediatrics_head, outcome: approve}}"
    wrong = {
        "没到院办": f"  steps: [{approve}, {{expect_open: {{step: office_review, by: office_director}}}}]",
        "已经不在": f"  steps: [{approve}, {approve}]",
        "不是他的": "  steps: [{complete: {step: head_review, by: nurse, outcome: approve}}]",
        "却成功了": f"  steps: [{{refused: {{code: any, do: {approve}}}}}]",
        "另一个原因": "  steps: [{refused: {code: any_other, do: {withdraw: {by: nurse, reason: 无}}}}]",
        "摘要不对": "  steps: [{expect: {summary: 医院公章 × 9}}]",
        "数据不对": "  steps: [{expect: {data: {copies: 2}}}]",
        "没有异常": "  steps: [{expect_incident: {step: head_review, kind: nobody}}]",
        "走了几次": "  steps: [{expect_passed: {element: apply, times: 2}}]",
    }
    stories = [
        f"- name: {name}{again if at else start}{steps}\n  end: {{state: running}}\n"
        for at, (name, steps) in enumerate(wrong.items())
    ]
    stories.append(f"- name: 没有结束{again}  end: {{state: completed}}\n")
    stories.append(f"- name: 没走这里{again}  end: {{state: running, passed: [stamp]}}\n")
    stories.append(f"- name: 走了这里{again}  end: {{state: running, not_passed: [apply]}}\n")
    stories.append(f"- name: 没有拒绝{again.replace('*d', '*d, refused: any')}")
    stories.append(f"- name: 这样才对{again}  end: {{state: running, passed: [apply]}}\n")
    (folder / "scenarios.yaml").write_text("".join(stories), encoding="utf-8")

    report = run(committed_db, folder)
    results = {result.story: result for result in report.results}

    assert [name for name, result in results.items() if result.passed] == ["这样才对"]
    assert results["没到院办"].step == 2
    assert "office_review 应在解文渊（office_director）的待办里" in str(results["没到院办"])
    assert "打开的是：stamp（seal_keeper）" in str(results["没到院办"])
    assert "（item_closed）" in str(results["已经不在"])
    assert "没有到过单晓燕（nurse）" in str(results["不是他的"])
    assert "却成功了" in str(results["却成功了"])
    assert "应以 any_other 拒绝，实际是" in str(results["另一个原因"])
    assert results["没有拒绝"].step == 0
    gaps = "\n".join(report.gaps)
    assert "没有走过的线：盖章登记 → 外借？（flow_stamp_lent）" in gaps
    assert "没有走过的线：用途？ → 未批准“不同意”（flow_head_decision_end_head_rejected）" in gaps
    assert "没有选过的结果：科室负责人审批（head_review）的“不同意”" in gaps
    assert "没有退回过的步骤：盖章登记（stamp）" in gaps
    assert "flow_head_review_head_decision" not in gaps, "it was walked"
    assert "印章归还（return_seal）的" in gaps
    assert "退回过的步骤：印章归还" not in gaps, "it may not be returned from"


@pytest.mark.backend("sqlite")
def test_rules_that_no_story_has_hit_are_told(committed_db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "purchase_request"
    shutil.copytree(PROCESSES / "purchase_request", folder)
    first, *_ = (folder / "scenarios.yaml").read_text("utf-8").split("\n- name: 五千元多一分")
    (folder / "scenarios.yaml").write_text(first, encoding="utf-8")
    report = run(committed_db, folder)
    assert [result.passed for result in report.results] == [True]
    (told,) = [gap for gap in report.gaps if "规则" in gap]
    assert told == "没有命中过的规则：审批级别（decisions/approval.dmn）第 2、3、4 条"
