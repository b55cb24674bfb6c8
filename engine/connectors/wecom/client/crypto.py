"""How WeCom's callbacks are signed and encrypted. Source: WeCom document 90968 (加解密方案说明)."""

import base64
import binascii
import hashlib
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from engine.connectors.wecom.client.errors import Misconfigured
from engine.connectors.wecom.settings import WeComSettings
from engine.crypto import same

_PAD = 32  # bytes: messages are padded to a multiple of it
_RANDOM, _LENGTH = 16, 4  # bytes before the message


class Forged(Exception):
    """Not WeCom's, not for us, or not of now; the text is one word for the log and tells nothing of the content."""


class Crypto:
    """The signature and the cipher of one application's callbacks."""

    def __init__(self, settings: WeComSettings) -> None:
        """Raise Misconfigured where EncodingAESKey isn't 43 characters of base64."""
        self._token, self._receiver = settings.token.get_secret_value(), settings.corp_id.encode()
        try:
            self._key = base64.b64decode(settings.aes_key.get_secret_value() + "=")
        except ValueError:
            self._key = b""
        if len(self._key) != 32:
            raise Misconfigured(
                "PIYUE_WECOM_AES_KEY 不是 43 个字符的 EncodingAESKey，"
                "请从企业微信管理后台的“接收消息”里重新复制，改正后重启"
            )

    def signature(self, timestamp: str, nonce: str, encrypted: str) -> str:
        """Return what `msg_signature` must be, hex SHA-1."""
        signed = "".join(sorted((self._token, timestamp, nonce, encrypted)))
        return hashlib.sha1(signed.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()

    def verify(self, signature: str, timestamp: str, nonce: str, encrypted: str) -> None:
        """Raise Forged unless the signature is WeCom's, in a time that doesn't tell where it differs."""
        if not same(self.signature(timestamp, nonce, encrypted).encode(), signature.encode("utf-8", "replace")):
            raise Forged("signature")

    def decrypt(self, encrypted: str) -> str:
        """Return the message of a ciphertext in base64; raises Forged for one that is broken or for another corp."""
        try:
            cipher = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise Forged("base64") from None
        if not cipher or len(cipher) % 16:
            raise Forged("length")
        decryptor = self._cipher().decryptor()
        padded = decryptor.update(cipher) + decryptor.finalize()
        pad = padded[-1]
        if not 1 <= pad <= _PAD or padded[-pad:] != bytes([pad]) * pad:
            raise Forged("padding")
        plain = padded[_RANDOM:-pad]
        end = _LENGTH + int.from_bytes(plain[:_LENGTH])
        if len(plain) < end:
            raise Forged("length")
        if not same(plain[end:], self._receiver):
            raise Forged("receiver")
        try:
            return plain[_LENGTH:end].decode()
        except UnicodeDecodeError:
            raise Forged("text") from None

    def encrypt(self, message: str) -> str:
        """Return a message's ciphertext in base64: what WeCom, or we in a passive reply, would send."""
        content = message.encode()
        plain = secrets.token_bytes(_RANDOM) + len(content).to_bytes(_LENGTH) + content + self._receiver
        pad = _PAD - len(plain) % _PAD
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))
