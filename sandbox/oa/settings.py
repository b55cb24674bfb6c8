"""How each OA's administrator has set it up; tests change these as they run."""

from dataclasses import dataclass, field

from sandbox.oa import constants


@dataclass
class LandraySettings:
    """Landray: who may call, and how it treats a repeated sendTodo."""

    user: str = constants.LANDRAY_USER  # of RequestSOAPHeader and of the REST twin; empty: anybody
    password: str = constants.LANDRAY_PASSWORD
    addresses: set[str] = field(default_factory=set)  # that may call; empty: any
    upsert: bool = False  # a repeated sendTodo changes the row instead of making a second one
    rows: int = 15  # of a page of getTodo, where the caller doesn't say


@dataclass
class WeaverSettings:
    """Weaver: the unified to-do centre, the systems registered with it, and the E9 interfaces."""

    enabled: bool = True  # 统一待办中心已启用
    systems: dict[str, str] = field(default_factory=lambda: {constants.WEAVER_SYSCODE: constants.SYSTEM})
    addresses: set[str] = field(default_factory=set)  # that may call; empty: any
    receives: bool = True  # the system may send
    auto_workflow: bool = True  # 自动创建流程类型
    workflows: dict[str, bool] = field(default_factory=dict)  # 流程类型: whether it receives
    older: bool = False  # knows no isremark 8
    appids: set[str] = field(default_factory=lambda: {constants.WEAVER_APPID})
    token_seconds: int = 1800


@dataclass
class SeeyonSettings:
    """Seeyon: the REST user, the registered systems, and how it treats a repeated taskId."""

    user: str = constants.SEEYON_USER
    password: str = constants.SEEYON_PASSWORD
    addresses: set[str] = field(default_factory=set)
    register_codes: set[str] = field(default_factory=lambda: {constants.SEEYON_REGISTER_CODE})
    refuse_repeated: bool = False  # a taskId that is there already is an error, not a change
    token_seconds: int = 900


@dataclass
class PlainSettings:
    """The plain OA: one bearer token."""

    token: str = constants.PLAIN_TOKEN
    addresses: set[str] = field(default_factory=set)
    registered: bool = True
