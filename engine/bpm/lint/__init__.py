"""The linter (流程检查): whatever the engine would get wrong or accept silently is refused before it is deployed.

`check` reads the files of a process folder and returns findings with file, line, element, one sentence and the cure.
The engine's own parser sees the files last, in a child process with limits, and only when nothing else is wrong.
"""

from engine.bpm.lint.finding import Finding
from engine.bpm.lint.folder import check
from engine.bpm.lint.known import Known

__all__ = ["Finding", "Known", "check"]
