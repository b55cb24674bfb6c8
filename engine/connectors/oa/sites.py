"""The sites (站点) of this installation: a folder each in PIYUE_OA_FOLDER or var/oa, with `site.toml` and other files.

Secrets in a file are encrypted with the installation's key (AES-256-GCM, the site's code as associated data), so that
a copied file is worth nothing.
"""

import base64
import logging
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.protocol import Adapter
from engine.connectors.oa.adapters.site import CODE, Site
from engine.crypto import Keys
from engine.db import Database
from engine.errors import Invalid, NotFound
from engine.mistakes import expected
from engine.outbox import Configuration
from engine.settings import Settings

FILE = "site.toml"
PURPOSE = "oa"
"""What the installation's key is derived for."""
_MARK = "enc:"
_SECRETS = ("password", "secret")
_NONCE = 12
_PLACE = re.compile(r"line (\d+), column (\d+)")

log = logging.getLogger(__name__)


class OASettings(BaseSettings):
    """Where the sites are (prefix PIYUE_OA_)."""

    model_config = SettingsConfigDict(env_prefix="PIYUE_OA_", extra="ignore")

    folder: Path | None = None  # None: `oa` under PIYUE_VAR


@dataclass(frozen=True, slots=True)
class Connection:
    """A site and what speaks to it."""

    site: Site
    adapter: Adapter


class Sites:
    """The connected sites by their codes; `connected` finds those of a database."""

    def __init__(self, connections: Mapping[str, Connection], base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._connections = dict(connections)

    def __iter__(self) -> Iterator[Connection]:
        """Yield the connections in the order of their codes."""
        return iter(self._connections.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._connections)

    def get(self, code: str) -> Connection | None:
        """Return the connection of a site, None where there is none by this code."""
        return self._connections.get(code)

    def named(self, code: str) -> Connection:
        """Return the connection of a site that somebody has named. Raises NotFound."""
        connection = self.get(code)
        if connection is None:
            raise NotFound(f"没有旧 OA 站点“{code}”，可能已被移走", code="oa_site_not_found")
        return connection

    def serving(self, system: str) -> Connection:
        """Return the connection of a channel such as `oa.ekp`; raises outbox.Configuration where its site is gone."""
        connection = self.get(system.removeprefix("oa."))
        if connection is None:
            raise Configuration(
                "这个 OA 站点没有配置，或已被移走：请放回它的文件夹并重启；不再用的，让它的通道保持暂停"
            )
        return connection

    def close(self) -> None:
        """Close the connections of all adapters."""
        for connection in self:
            connection.adapter.close()


_NONE = Sites({}, "")


def connected(db: Database) -> Sites:
    """Return the sites that a database's service or worker is connected to, none where it is to none."""
    return db.part(Sites) or _NONE


def found(settings: Settings) -> list[Site]:
    """Return the sites that the environment's folder names. Raises Invalid as `read` does."""
    folder = home(settings)
    return read(folder, Keys.load(settings).key(PURPOSE)) if folder.is_dir() else []


def home(settings: Settings) -> Path:
    """Return the folder of this installation's sites: PIYUE_OA_FOLDER, or `oa` under PIYUE_VAR."""
    return OASettings().folder or settings.var / "oa"


def read(folder: Path, key: bytes) -> list[Site]:
    """Return the sites under a folder, in the order of their codes; none where it isn't there.

    Raises Invalid (code `oa_site`) with file, place and cure for the first mistake.
    """
    found = list[Site]()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / FILE).exists():
            found.append(_site(path, key))
        elif path.is_dir() and not path.name.startswith("."):
            log.warning("旧 OA 的文件夹 %s 里没有 %s，没有当作站点", path, FILE)
    return found


def encrypted(key: bytes, code: str, secret: str) -> str:
    """Return a secret as it may stand in the file of a site."""
    nonce = secrets.token_bytes(_NONCE)
    sealed = nonce + AESGCM(key).encrypt(nonce, secret.encode(), code.encode())
    return _MARK + base64.urlsafe_b64encode(sealed).decode()


def _site(folder: Path, key: bytes) -> Site:
    code, file = folder.name, folder / FILE
    if not CODE.fullmatch(code):
        raise _wrong(file, f"文件夹名“{code}”不能作站点代码", "改为 1 到 11 个小写字母或数字，以字母开头")
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(file, "读不出来", "检查文件权限，并存为 UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _wrong(file, _unreadable(str(error)), "照《旧 OA 对接》里的例子改正该处") from error
    kind = str(content.get("kind", ""))
    if kind not in KINDS:
        raise _wrong(file, f"kind 是“{kind}”", "改为 " + "、".join(sorted(KINDS)) + " 之一")
    settings, _ = KINDS[kind]
    try:
        return settings.model_validate({**_opened(content, file, key, code), "code": code, "folder": folder})
    except ValidationError as error:
        raise _wrong(file, _mistake(error, settings), "照《旧 OA 对接》的说明改正该项") from None


def _unreadable(detail: str) -> str:
    """Say where a file isn't TOML; `detail`: in the parser's words."""
    place = _PLACE.search(detail)
    where = f"第 {place[1]} 行第 {place[2]} 列" if place else "文件末尾"
    twice = "overwrite" in detail or "twice" in detail
    return f"{where}{'的一项写了第二遍' if twice else '不是正确的 TOML 写法'}"


def _mistake(error: ValidationError, settings: type[Site]) -> str:
    """Say which setting is wrong and what it should be; unknown ones come first: they may be others misspelt."""
    problems = error.errors(include_input=False)
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    *above, name = first["loc"] or ("",)
    said = expected(first)
    if name:
        said = f"{'.'.join(map(str, first['loc']))}：{said}"
    if first["type"] != "extra_forbidden":
        return said
    lacking = [str(each["loc"][-1]) for each in problems if each["type"] == "missing" and [*each["loc"][:-1]] == above]
    known = [] if above else list(settings.model_fields)
    meant = get_close_matches(str(name).lower(), lacking or known, 1)
    return f"{said}，是不是 {meant[0]}？" if meant else said


def _opened(content: Mapping[str, Any], file: Path, key: bytes, code: str) -> dict[str, Any]:
    """Return the content with its secrets decrypted, in tables too."""
    opened = dict[str, Any]()
    for name, value in content.items():
        if isinstance(value, dict):
            opened[name] = _opened(value, file, key, code)
        elif name in _SECRETS and value:
            opened[name] = _secret(str(value), file, name, key, code)
        else:
            opened[name] = value
    return opened


def _secret(text: str, file: Path, name: str, key: bytes, code: str) -> str:
    cure = f"运行 piyue oa encrypt {code}，把打印出来的一行填到这里"
    if not text.startswith(_MARK):
        raise _wrong(file, f"{name} 是明文", cure)
    try:
        sealed = base64.urlsafe_b64decode(text[len(_MARK) :])
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], code.encode()).decode()
    except (ValueError, InvalidTag):
        raise _wrong(file, f"{name} 解不开：它是用别的密钥或为别的站点加密的", cure) from None


def _wrong(file: Path, problem: str, cure: str) -> Invalid:
    where = f"{file.parent.name}/{file.name}"
    return Invalid(f"{where}：{problem}。办法：{cure}。", code="oa_site", place=where)
