"""Keys: one secret of the installation, one derived key for each purpose.

Nothing else in the project touches the secret. In demo mode a missing secret is made and kept under `settings.var`, so
that a first start needs no configuration; in production it must be set.
"""

import hmac
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import Invalid
from engine.settings import Settings

KEY_FILE = "secret.key"
_SHORTEST = 32  # characters; what `openssl rand -base64 32` or any other generator gives is longer


class Keys:
    """Derived keys (派生密钥), 32 bytes each, by purpose: the same secret and purpose always give the same key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._derived: dict[str, bytes] = {}

    @classmethod
    def load(cls, settings: Settings) -> "Keys":
        """Read the installation's secret; in demo mode make one where none is set.

        Raises Invalid in production when PIYUE_SECRET_KEY is missing or shorter than 32 characters; beside the demo's
        own key it says how to use that.
        """
        given = settings.secret_key.get_secret_value()
        if not given and settings.demo:
            return cls(_kept(settings.var / KEY_FILE))
        if not given and (settings.var / KEY_FILE).is_file():
            raise Invalid(
                "环境变量 PIYUE_SECRET_KEY 未设置。这里是演示医院，它的密钥在自己的文件里："
                "请先运行 export PIYUE_MODE=demo，再执行这条命令",
                code="secret_key_of_demo",
            )
        if len(given) < _SHORTEST:
            problem = f"太短（至少 {_SHORTEST} 个字符）" if given else "未设置"
            raise Invalid(
                f"环境变量 PIYUE_SECRET_KEY {problem}：请用 openssl rand -base64 32 生成一个并妥善保管，再启动服务",
                code="secret_key_unusable",
            )
        return cls(given.encode())

    def key(self, purpose: str) -> bytes:
        """Return the key for a purpose such as "audit": HKDF-SHA256 (RFC 5869) with the purpose as its info."""
        if purpose not in self._derived:
            kdf = HKDF(algorithm=SHA256(), length=32, salt=b"piyue", info=purpose.encode())
            self._derived[purpose] = kdf.derive(self._secret)
        return self._derived[purpose]


def mac(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA256 (RFC 2104) of a message, 32 bytes."""
    return hmac.digest(key, message, "sha256")


def same(left: bytes, right: bytes) -> bool:
    """Compare two secrets or codes in a time that doesn't depend on where they differ."""
    return hmac.compare_digest(left, right)


def _kept(path: Path) -> bytes:
    """Read the key file, made by the first process that comes; all see it whole or not at all."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(48).encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it fails where another process was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()
