"""How callbacks are encrypted and signed (D 90968): our own, so that the product's implementation meets another one."""

import base64
import binascii
import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 32


class Undecipherable(Exception):
    """What came isn't encrypted for us."""


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """Return the signature of a callback: SHA-1 of the sorted parts."""
    return hashlib.sha1(
        "".join(sorted((token, timestamp, nonce, encrypted))).encode(), usedforsecurity=False
    ).hexdigest()


def encrypt(aes_key: str, message: bytes, receiver: str, *, salt: bytes = b"") -> str:
    """Return a message encrypted for a receiver (a corp id); `salt` are the 16 bytes before it, random by default."""
    text = (salt or os.urandom(16)) + len(message).to_bytes(4, "big") + message + receiver.encode()
    fill = _BLOCK - len(text) % _BLOCK
    encryptor = _cipher(aes_key).encryptor()
    return base64.b64encode(encryptor.update(text + bytes([fill]) * fill) + encryptor.finalize()).decode()


def decrypt(aes_key: str, encrypted: str) -> tuple[bytes, str]:
    """Return a message and its receiver. Raises Undecipherable."""
    try:
        decryptor = _cipher(aes_key).decryptor()
        text = decryptor.update(base64.b64decode(encrypted, validate=True)) + decryptor.finalize()
        text = text[: -text[-1]]
        length = int.from_bytes(text[16:20], "big")
        message, receiver = text[20 : 20 + length], text[20 + length :].decode()
    except (binascii.Error, ValueError, IndexError) as error:
        raise Undecipherable from error
    if len(message) != length:
        raise Undecipherable
    return message, receiver


def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    key = base64.b64decode(aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))
