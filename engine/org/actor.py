"""Who is asking: the person behind a request, a worker or the command line, with roles and departments."""

import uuid
from dataclasses import dataclass, field

ADMIN = "process_admin"  # 流程管理员: sees and mends every instance
SYSTEM_ADMIN = "system_admin"  # 系统管理员: people, settings, service tokens
AUDITOR = "auditor"  # 审计员: reads everything, changes nothing
DESIGNER = "designer"  # 流程设计员: uploads and deploys definitions


@dataclass(frozen=True, slots=True)
class Actor:
    """A viewer and doer; every query and every command takes one."""

    person_id: uuid.UUID
    name: str
    department_id: uuid.UUID
    department_name: str = ""
    roles: frozenset[str] = frozenset()
    departments: frozenset[uuid.UUID] = field(default_factory=frozenset)  # main and part-time, with their parents
    scopes: frozenset[str] | None = None  # of a service token; None for a person
    token_id: uuid.UUID | None = None  # the service token, which the trail names; None for a person

    def has(self, *roles: str) -> bool:
        """Whether the actor holds one of the roles."""
        return not self.roles.isdisjoint(roles)

    @property
    def sees_all(self) -> bool:
        """Whether every instance is visible to the actor."""
        return self.has(ADMIN, AUDITOR)
