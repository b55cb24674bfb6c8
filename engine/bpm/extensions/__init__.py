"""The piyue extension of BPMN diagrams: who handles a step, how a round decides, what a person may do.

One strict definition, used by the runtime's parser and by the linter: `parse_*` reads an element's
`bpmn:extensionElements` into the values of `model` and reports each problem it meets. docs/architecture.md lists the
vocabulary.
"""

from engine.bpm.extensions.model import (
    DECIDE_OUTCOMES,
    FILL_OUTCOMES,
    READ_OUTCOMES,
    RESERVED,
    ROUND_NAMES,
    Access,
    Assign,
    DataMapping,
    EventExtension,
    FieldRights,
    Operation,
    Outcome,
    Problem,
    ProcessExtension,
    ReturnRule,
    RoundPolicy,
    RuleUse,
    TaskExtension,
    is_reserved,
)
from engine.bpm.extensions.reading import (
    BPMN,
    NAMESPACE,
    PARSERS,
    POLICIES,
    RULES,
    parse_event,
    parse_mapping,
    parse_operation,
    parse_process,
    parse_rule,
    parse_task,
)

__all__ = [
    "BPMN",
    "DECIDE_OUTCOMES",
    "FILL_OUTCOMES",
    "NAMESPACE",
    "PARSERS",
    "POLICIES",
    "READ_OUTCOMES",
    "RESERVED",
    "ROUND_NAMES",
    "RULES",
    "Access",
    "Assign",
    "DataMapping",
    "EventExtension",
    "FieldRights",
    "Operation",
    "Outcome",
    "Problem",
    "ProcessExtension",
    "ReturnRule",
    "RoundPolicy",
    "RuleUse",
    "TaskExtension",
    "is_reserved",
    "parse_event",
    "parse_mapping",
    "parse_operation",
    "parse_process",
    "parse_rule",
    "parse_task",
]
