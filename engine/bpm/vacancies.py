"""Assignment rules that find nobody today (空缺): for whoever is about to deploy a process."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

from engine.bpm.assignment import AssignmentContext, resolve
from engine.bpm.extensions import Assign
from engine.org.directory import Directory

_NOTHING = uuid.UUID(int=0)
_CONTEXT = AssignmentContext(_NOTHING, _NOTHING, None, {}, lambda _: None)
_OF_DEPARTMENT = {"department": "成员", "head": "负责人", "director": "分管院领导"}


def vacancies(directory: Directory, rule: Assign) -> Iterator[str]:
    """Yield a Chinese sentence for each role, post or department named by a rule in which it finds nobody.

    Only what the organisation alone decides: a rule about the initiator, a field or an expression yields nothing, nor
    does what doesn't exist at all.
    """
    if rule.rule == "role" and rule.role and rule.role in directory.roles:
        if not resolve(directory, [replace(rule, of=None)], _CONTEXT):
            yield f"角色“{directory.roles[rule.role]}”（{rule.role}）没有人担任"
    elif rule.rule == "post" and rule.post and not (rule.department or "").startswith("="):
        if not resolve(directory, [rule], _CONTEXT):
            of = f"科室 {rule.department} 里" if rule.department else ""
            yield f"{of}没有岗位是“{rule.post}”的人"
    elif rule.rule in _OF_DEPARTMENT and not (rule.department or "").startswith("="):
        for code in (rule.department or "").split():
            node = directory.by_code.get(code)
            if node is not None and not resolve(directory, [replace(rule, department=code)], _CONTEXT):
                yield f"科室“{node.name}”（{code}）没有{_OF_DEPARTMENT[rule.rule]}"
