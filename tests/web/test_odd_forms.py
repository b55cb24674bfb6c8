"""Forms that no browser sends: another encoding, NUL, odd keys in the path."""

import httpx
import pytest

from engine.org.demo import CAST


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "undefined", "punycode", "utf-16", "latin-1"])
def test_a_form_in_another_encoding_is_refused(client: httpx.Client, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="number"\r\n\r\n+2D0-\\ud800\r\n--x--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = client.post("/login", content=body, headers=kind)
    assert answer.status_code == 422
    assert "UTF-8" in answer.text


def test_a_form_in_utf_8_is_read(client: httpx.Client) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="number"\r\n\r\nnobody\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=UTF-8"}
    assert "UTF-8" not in client.post("/login", content=body, headers=kind).text


@pytest.mark.parametrize("data", [{"number": "a\x00b"}, {"nu\x00mber": "a"}])
def test_nul_is_refused(client: httpx.Client, data: dict[str, str]) -> None:
    answer = client.post("/login", data=data)
    assert answer.status_code == 422
    assert "不能保存的字符" in answer.text


@pytest.mark.parametrize("path", ["/start/%00", "/start/%ED%A0%80", "/definitions/a%00b", "/start/" + "a" * 500])
def test_an_odd_key_is_no_process(client: httpx.Client, path: str) -> None:
    for who in ("nurse", "process_admin"):
        client.post("/login", data={"number": CAST[who].staff_number, "next": "/"})
        answer = client.get(path)
        assert 400 <= answer.status_code < 500
        assert "text/html" in answer.headers["content-type"]
