"""Names and codes that nobody can guess."""

import secrets
import string

_LETTERS = string.ascii_letters + string.digits


def fresh(length: int = 32) -> str:
    """Return a new code of letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
