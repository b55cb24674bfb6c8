"""Forms (表单): form-js schemas, validated and rendered on the server; conditions and computations are FEEL."""

from engine.bpm.forms.form import Form, check, everything, located
from engine.bpm.forms.money import capitals
from engine.bpm.forms.reader import Finding
from engine.bpm.forms.schema import Component, FieldType, File, Lookups, Option, References, Rights

__all__ = [
    "Component",
    "FieldType",
    "File",
    "Finding",
    "Form",
    "Lookups",
    "Option",
    "References",
    "Rights",
    "capitals",
    "check",
    "everything",
    "located",
]
