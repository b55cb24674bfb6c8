"""Who looks after the OAs: system admins act, process admins and auditors look on; None is the command line."""

from engine.connectors.oa.sites import Connection
from engine.errors import Conflict, Forbidden
from engine.org.actor import ADMIN, AUDITOR, SYSTEM_ADMIN
from engine.viewer import Viewer


def require_admin(actor: Viewer | None) -> None:
    """Raise Forbidden unless the actor is a system admin or the command line."""
    if actor is not None and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以维护旧 OA 的对接", code="not_system_admin")


def require_reader(viewer: Viewer | None) -> None:
    """Raise Forbidden unless the viewer may see how the OAs are."""
    if viewer is not None and not viewer.has(SYSTEM_ADMIN, ADMIN, AUDITOR):
        raise Forbidden("只有系统管理员、流程管理员和审计员可以查看旧 OA 的对接", code="not_admin")


def require_mirror(connection: Connection) -> None:
    """Raise Conflict where a site doesn't show our items."""
    if not connection.site.mirror:
        raise Conflict(f"“{connection.site.name}”不显示我们的待办（mirror = false），无需此操作", code="oa_no_mirror")
