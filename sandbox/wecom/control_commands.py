"""The commands of the control API; `control` and `control_people` register theirs."""

from sandbox.control import Commands

command = Commands()
