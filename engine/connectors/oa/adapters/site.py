"""A site (站点): one OA, as the file `site.toml` in its folder describes it. Each kind adds settings of its own."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

CODE = re.compile(r"[a-z][a-z0-9]{0,10}")
"""A site's code, the name of its folder: its channel's lane must fit 20 characters."""
_SHORTEST = 16  # characters of a common secret
_WIDE = "\u3000"  # the space between Chinese words, which Python doesn't take for printable
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+\S*$")]


def origin(url: str) -> str:
    """Return scheme, host and port of an address, as it is written there."""
    return "/".join(url.split("/", 3)[:3]).lower()


def _with_places(text: str, *known: str) -> str:
    for at, character in enumerate(text, 1):
        if not character.isprintable() and character != _WIDE:
            raise ValueError(f"第 {at} 个字符是换行或控制字符：去掉它，写在一行里")
    usable = "可用 " + " ".join(f"{{{name}}}" for name in known)
    if unknown := set(re.findall(r"\{(.*?)\}", text)) - set(known):
        raise ValueError(f"不认识 {{{unknown.pop()}}}：{usable}")
    if alone := re.search(r"[{}]", re.sub(r"\{.*?\}", lambda place: "_" * len(place[0]), text)):
        raise ValueError(f"第 {alone.start() + 1} 个字符“{alone[0]}”没有成对：{usable}")
    return text


class SignOn(BaseModel):
    """How somebody who comes from the OA's list is let in without a password (单点登录); without: they log in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["signed", "ticket"]
    # signed: the OA's jump page adds account, moment and signature under a common secret
    secret: SecretStr = SecretStr("")
    algorithm: Literal["hmac-sha256", "md5"] = "hmac-sha256"
    # ticket: the OA adds a ticket, and tells us whose it is when we ask at this address
    verify: str = ""
    account_at: str = "account"  # dotted path of the account in its JSON answer
    lasts: Annotated[int, Field(ge=30, le=900)] = 300  # seconds

    @model_validator(mode="after")
    def _complete(self) -> "SignOn":
        """Refuse a secret that could be guessed, and a ticket that can't be asked about."""
        if self.kind == "signed" and len(self.secret.get_secret_value()) < _SHORTEST:
            raise ValueError(f"secret 至少 {_SHORTEST} 个字符，用 openssl rand -hex 32 生成，两边填一样的")
        if self.kind == "ticket" and "{ticket}" not in self.verify:
            raise ValueError("verify 要写核对票据的地址，其中 {ticket} 是票据的位置")
        return self


class Site(BaseModel):
    """What is the same for each kind. Secrets stand in the file encrypted (`piyue oa encrypt`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    code: str  # the folder's name
    folder: Path  # where the site's other files are, such as a WSDL
    kind: str
    name: Annotated[str, Field(min_length=1, max_length=20)]  # for people: 集团 OA
    address: HttpUrl
    user: str = ""
    password: SecretStr = SecretStr("")
    per_minute: Annotated[int, Field(ge=6, le=60_000)] = 600
    timeout: Annotated[float, Field(gt=0, le=10)] = 8.0  # seconds of one request, within a row's lease of 15
    threads: Annotated[int, Field(ge=1, le=16)] = 4
    people: Literal["staff_number", "mobile", "email", "table"] = "staff_number"  # 对应方式
    unmapped: Literal["report", "ignore"] = "report"  # people whom this OA doesn't have
    title: Annotated[str, Field(max_length=60)] = "{title}"  # what the list says: also {workflow} and {node}
    link: str = "{base}/oa/{site}/{item}"
    mobile_link: str = ""  # as `link`
    mirror: bool = True  # whether our items are shown there
    poll: bool = False  # whether the OA's own items are taken in
    poll_minutes: Annotated[int, Field(ge=1, le=240)] = 10
    sign_on: SignOn | None = None
    repairs: Annotated[int, Field(ge=0)] = 500  # at most, of one reconciliation
    nightly_repair: bool = True  # whether the nightly reconciliation mends what it finds

    @field_validator("link", "mobile_link")
    @classmethod
    def _link(cls, text: str) -> str:
        """Refuse a template with unknown or unfinished places, and one of several lines."""
        return _with_places(text, "base", "site", "item", "instance")

    @field_validator("title")
    @classmethod
    def _title(cls, text: str) -> str:
        """Refuse what no link may have either, and a template that calls everything the same."""
        if "{title}" not in text:
            raise ValueError("要有 {title}，否则列表里分不清是哪一件")
        return _with_places(text, "title", "workflow", "node")

    @model_validator(mode="after")
    def _own_host(self) -> "Site":
        """Refuse to ask another host about tickets."""
        verify = "" if self.sign_on is None else self.sign_on.verify
        below = verify.startswith("/") and not verify.startswith("//")
        if verify and not below and origin(verify) != origin(self.address):
            raise ValueError("sign_on.verify 只能是 address 这台主机上的地址，或以 / 开头的路径")
        return self

    @property
    def system(self) -> str:
        """The site's channel in the outbox."""
        return f"oa.{self.code}"

    def linked(self, base_url: str, item: str, instance: str, *, mobile: bool = False) -> str:
        """Return the address under which the OA opens an item; ids in 32 hexadecimal digits."""
        template = (self.mobile_link if mobile else "") or self.link
        places: dict[str, Any] = {"base": base_url.rstrip("/"), "site": self.code, "item": item, "instance": instance}
        return re.sub(r"\{(\w+)\}", lambda match: str(places[match[1]]), template)
