"""Refusals of the server API: HTTP 200 with an errcode. Callers branch on the code only; the texts are our own."""


class ApiError(Exception):
    """A refusal with WeCom's number for it (D 90313)."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(f"{errcode} {errmsg}")
        self.errcode, self.errmsg = errcode, errmsg
