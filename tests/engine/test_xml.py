"""The XML inlet: whatever comes in, a tree or one refusal with place and cure."""

import socket
import tracemalloc
from typing import Any

import pytest

from engine.errors import Invalid
from engine.xml import MAX_BYTES, MAX_DEPTH, parse

LAUGHS = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><lolz>&j;</lolz>"
)
XINCLUDE = '<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'

HOSTILE = {
    "billion laughs": (LAUGHS, 2, "DOCTYPE"),
    "quadratic blowup": (f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]><a>{"&x;" * 20_000}</a>', 1, "DOCTYPE"),
    "external entity": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 1, "DOCTYPE"),
    "external DTD": ('<!-- c --><?p i?>\n\n<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>', 3, "DOCTYPE"),
    "DTD in UTF-16": (LAUGHS.encode("utf-16"), 1, "UTF-8"),
    "undefined entity": ("<a>\n&nbsp;</a>", 2, "实体"),
    "XInclude": (XINCLUDE, 1, "XInclude"),
    "attribute of 50 MB": (b'<a b="' + b"x" * 50_000_000 + b'"/>', 1, "超过 2 MB"),
    "text too large once encoded": ("<a>" + "批" * (MAX_BYTES // 2) + "</a>", 1, "超过 2 MB"),
    "100 000 levels": ("<a>" * 100_000 + "</a>" * 100_000, 1, "嵌套"),
    "one level too many": ("<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1), 1, "嵌套"),
    "NUL": (b"<a>\n\n\x00</a>", 3, "NUL"),
    "control character": (b"<a>\n\x01</a>", 2, "控制字符"),
    "GBK": ('<?xml version="1.0" encoding="GBK"?>\n<a>批阅</a>'.encode("gbk"), 2, "UTF-8"),
    "declared otherwise": (b'<?xml version="1.0" encoding="UTF-16"?><a/>', 1, "UTF-16"),
    "UTF-16": ("<a/>".encode("utf-16"), 1, "UTF-8"),
    "UTF-16 without mark": ("<a/>".encode("utf-16-le"), 1, "UTF-8"),
    "UTF-32": ("<a/>".encode("utf-32-be"), 1, "NUL"),
    "lone surrogate": ("<a>\ud800</a>", 1, "残缺"),
    "JSON": ('{"a": 1}', 1, "不是 XML"),
    "plain text": ("请假流程", 1, "不是 XML"),
    "empty": (b"", 1, "空"),
    "blank": ("\n \n", 1, "空"),
    "byte order mark alone": (b"\xef\xbb\xbf", 1, "空"),
    "HTML": ("<!DOCTYPE html>\n<html><body><br></body></html>", 1, "HTML"),
    "HTML without DOCTYPE": ("<html>\n<body><br></body></html>", 2, "不匹配"),
    "cut off": ("<a>\n<b>\n<c", 3, "第 3 行"),
    "two roots": ("<a/>\n<b/>", 2, "根元素之后"),
    "undeclared prefix": ("<a>\n<x:b/></a>", 2, "命名空间"),
    "attribute twice": ('<a>\n<b c="1" c="2"/></a>', 2, "重复"),
    "comment bomb": ("<!--" * 400_000, 1, "不是格式正确"),
    "comments alone": ("<!-- -->" * 200_000, 1, "没有根元素"),
    "long name": ("<" + "a" * 1_000_000 + "/>", 1, "不是格式正确"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_refused_with_line_and_cure(name: str) -> None:
    content, line, part = HOSTILE[name]
    assert isinstance(content, str | bytes)
    with pytest.raises(Invalid) as caught:
        parse(content, "请假.bpmn")
    error = caught.value
    assert error.code == "xml"
    assert error.fields["place"] == "请假.bpmn"
    assert error.fields["line"] == line
    assert error.message.startswith(f"请假.bpmn 第 {line} 行：")
    assert "办法：" in error.message
    assert part in error.message
    assert len(error.message) < 300


def test_laughs_cost_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(Invalid):
        parse(LAUGHS, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_nothing_is_fetched() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        with pytest.raises(Invalid):
            parse(f'<!DOCTYPE a SYSTEM "http://127.0.0.1:{port}/x.dtd"><a/>', "x")
        parse(
            '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:schemaLocation="urn:a http://127.0.0.1:{port}/a.xsd"/>',
            "x",
        )
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_comments_and_instructions_are_left_out() -> None:
    root = parse("<?xml version='1.0'?><?style x?><!-- a --><a>days <!-- b -->&gt; 3<?c d?></a><!-- e -->", "x")
    assert root.text == "days > 3"
    assert len(root) == 0


def test_text_and_bytes_are_the_same() -> None:
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<a>批阅 𠮷</a>'
    for content in (text, text.encode(), b"\xef\xbb\xbf" + text.encode(), "\ufeff" + text):
        assert parse(content, "x").text == "批阅 𠮷"


def test_decoded_text_may_declare_what_it_was_stored_as() -> None:
    assert parse('<?xml version="1.0" encoding="GBK"?><a>批阅</a>', "x").text == "批阅"


def test_lines_are_kept() -> None:
    child: Any = parse("<a>\n\n<b/></a>", "x")[0]
    assert child.sourceline == 3


def test_the_deepest_and_largest_allowed_pass() -> None:
    parse("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH, "x")
    parse(b"<a>" + b"x" * (MAX_BYTES - 7) + b"</a>", "x")
