"""What a command of the control API is: a function whose arguments after the state are the names of a JSON object."""

from collections.abc import Callable
from typing import Any

COMMANDS: dict[str, Callable[..., Any]] = {}


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a command; its arguments after the state are the JSON object's names."""
    COMMANDS[function.__name__] = function
    return function
