"""Passwords (密码): Argon2id hashes (RFC 9106) and the rule for new ones."""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from engine.errors import Invalid, Unavailable

SHORTEST, LONGEST = 10, 128  # characters
_MOST_EASILY_TYPED = ("01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "abcdefghijklmnopqrstuvwxyz")

# 19 MiB and two passes: OWASP's least for Argon2id
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# what an unknown person's password is compared with, so that the answer takes as long
_NOBODY = _hasher.hash("没有这个人")
# in one process: so many are computed at once, and so many threads may be at it or wait for their turn
_RUNNING, _AT_THE_DOOR = 3, 6
_running, _door = threading.BoundedSemaphore(_RUNNING), threading.BoundedSemaphore(_AT_THE_DOOR)


def hash_password(password: str) -> str:
    """Return the salted hash to store."""
    with _turn():
        return _hasher.hash(_normalised(password))


def password_fits(stored: str, password: str) -> bool:
    """Whether the password is the one behind a stored hash; an empty hash fits none and takes as long."""
    try:
        with _turn():
            fits = _hasher.verify(stored or _NOBODY, _normalised(password[: LONGEST * 4]))
    except (VerificationError, InvalidHashError):
        return False
    return fits and bool(stored)


def needs_rehash(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def check_password_rule(password: str, *, forbidden: tuple[str, ...] = ()) -> None:
    """Raise Invalid where a new password is too short, too plain, or contains one of `forbidden` (staff number …)."""
    plain = _normalised(password).lower()
    easy = any(plain in run or plain in run[::-1] for run in _MOST_EASILY_TYPED)
    if not SHORTEST <= len(plain) <= LONGEST:
        message = f"密码须为 {SHORTEST} 到 {LONGEST} 个字符"
    elif any(part and part.lower() in plain for part in forbidden):
        message = "密码不能包含工号、手机号或姓名"
    elif len(set(plain)) < 5 or easy:
        message = "密码过于简单，请至少使用 5 种不同的字符，不要用键盘或数字的顺序"
    else:
        return
    raise Invalid(message, code="weak_password", errors=[{"place": "new_password", "message": message}])


@contextmanager
def _turn() -> Iterator[None]:
    """Let a few threads compute at a time, so that a flood of guesses takes neither the memory nor every thread.

    Raises Unavailable at once where enough are waiting.
    """
    if not _door.acquire(blocking=False):
        raise Unavailable("现在登录的人太多，请过几秒再试", code="logins_busy")
    try:
        with _running:
            yield
    finally:
        _door.release()


def _normalised(password: str) -> str:
    # the same password typed on another device may come composed otherwise; lone surrogates can't be encoded
    return unicodedata.normalize("NFKC", password).encode(errors="replace").decode()
