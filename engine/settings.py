"""Settings from the environment (prefix PIYUE_), read once by the entry points and passed down."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
Positive = Annotated[int, Field(ge=1)]


def _matching(pattern: str, cure: str) -> AfterValidator:
    """Return what refuses a secret that is set and doesn't match; pydantic's own patterns don't look into secrets."""

    def check(secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        if value and not re.match(pattern, value):
            raise PydanticCustomError("unusable_secret", cure)
        return secret

    return AfterValidator(check)


class Settings(BaseSettings):
    """Everything an operator can set; docs/zh/运维.md explains each."""

    model_config = SettingsConfigDict(env_prefix="PIYUE_", extra="ignore")

    database_url: Annotated[str, Field(pattern="^(sqlite|postgresql)[+:]")] = f"sqlite:///{ROOT / 'var' / 'piyue.db'}"
    var: Path = ROOT / "var"
    mode: Literal["production", "demo"] = "production"
    secret_key: SecretStr = SecretStr("")
    pool_size: Positive = 10
    threads: Positive = 20
    queue_limit: int = Field(200, ge=0)  # 0 refuses everything: for maintenance
    body_seconds: Positive = 20  # for a request's body to arrive, and one more for each 8 KB of it
    session_hours: Positive = 12
    secure_cookie: bool = True
    attachment_max_mb: Positive = 50
    embedded_worker: bool = False
    # Redis: its address may hold a password. Without a token there is no /metrics.
    redis_url: Annotated[SecretStr, _matching("^rediss?://.+", "应以 redis:// 开头")] = SecretStr("")
    metrics_token: Annotated[SecretStr, _matching("^[!-~]{16,}$", "至少 16 个字符，没有空格")] = SecretStr("")
    base_url: str = "http://127.0.0.1:8000"

    @property
    def attachments(self) -> Path:
        """Folder of the stored attachments (附件)."""
        return self.var / "attachments"

    @property
    def demo(self) -> bool:
        """Whether people are picked from a list instead of giving a password."""
        return self.mode == "demo"
