"""Settings of the WeCom connector from the environment (prefix PIYUE_WECOM_)."""

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.mistakes import TOLD

_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
HttpUrl = Annotated[str, Field(pattern="^https?://[^/]+")]


class WeComSettings(BaseSettings):
    """What an administrator copies from WeCom's console; docs/zh/企业微信.md explains each. Without a corp id: off."""

    model_config = SettingsConfigDict(env_prefix="PIYUE_WECOM_", extra="ignore")

    corp_id: str = ""  # 企业ID
    agent_id: int = 0  # 应用 AgentId
    secret: SecretStr = SecretStr("")  # 应用 Secret
    contacts_secret: SecretStr = SecretStr("")  # 通讯录同步 Secret; without it people aren't synchronised
    token: SecretStr = SecretStr("")  # 接收消息 Token; without it no card has buttons that act
    aes_key: SecretStr = Field(SecretStr(""), validate_default=True)  # 接收消息 EncodingAESKey
    api: HttpUrl = "https://qyapi.weixin.qq.com"  # every call goes here: a proxy or the sandbox may stand in
    authorize: HttpUrl = "https://open.weixin.qq.com/connect/oauth2/authorize"  # entry inside WeCom
    login: HttpUrl = "https://login.work.weixin.qq.com/wwlogin/sso/login"  # entry by QR code on the desktop
    contacts: Literal["off", "accounts", "lead"] = "accounts"  # 通讯录：不同步；只关联账号并报告差异；由企业微信主导
    # calls; WeCom takes 10,000 of each API and 20,000 from one address: most are of three APIs, sending and changing
    # cards and showing figures, and what else calls from the same address, the entry above all, keeps half of the room
    per_minute: Annotated[int, Field(ge=1)] = 9_000
    match: Literal["staff_number", "none"] = "staff_number"  # 成员账号与工号相同的职工自动对应；none：都要先核实
    verify_joining: bool = False  # 首次进入须用手机或邮箱验证码核实（M12）

    @field_validator("aes_key")
    @classmethod
    def _usable(cls, key: SecretStr, others: ValidationInfo) -> SecretStr:
        """Refuse half of what callbacks need, and a key that WeCom never gives: 43 letters, digits, + and /."""
        given = key.get_secret_value()
        if given and not _AES_KEY.fullmatch(given):
            raise PydanticCustomError(
                TOLD, "应是 43 个字母、数字、+ 或 /，请照管理后台“接收消息”的 EncodingAESKey 重新复制"
            )
        token = others.data.get("token")
        if token is not None and bool(given) != bool(token.get_secret_value()):
            raise PydanticCustomError(TOLD, "要与 PIYUE_WECOM_TOKEN 一起设置：两个都填，或都不填")
        return key

    @property
    def enabled(self) -> bool:
        """Whether WeCom is used at all."""
        return bool(self.corp_id)

    @property
    def callbacks(self) -> bool:
        """Whether WeCom can call us: cards may have buttons that act."""
        return bool(self.token.get_secret_value() and self.aes_key.get_secret_value())
