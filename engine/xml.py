"""The one inlet for XML: BPMN, DMN, SOAP, callbacks, HL7 v3. No DTD, no entities, no network, no XInclude.

Whatever the bytes are, the answer is a tree or one `Invalid` with the line and the cure, in bounded time: size and
depth are capped, and a DOCTYPE is refused before the parser sees it, so no entity can ever be declared.
"""

import re

from lxml import etree

from engine.errors import Invalid

MAX_BYTES = 2 * 1024 * 1024
"""Size of one document in bytes (UTF-8)."""
MAX_DEPTH = 100
"""Levels of elements, the root included."""

_XINCLUDE = "{http://www.w3.org/2001/XInclude}"
_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_ENCODING = re.compile(r"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_NOT_UTF8 = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")  # UTF-16 and UTF-32, with and without a byte order mark

# libxml2's error numbers (lxml.etree.ErrorTypes) that a designer meets, as sentences with a cure.
_CAUSES = {
    etree.ErrorTypes.ERR_DOCUMENT_END: ("文件在根元素之后还有内容，或不完整", "检查文件是否被截断或拼接，重新导出"),
    etree.ErrorTypes.ERR_TAG_NAME_MISMATCH: ("开始标签与结束标签不匹配", "改正标签名，或补上缺少的结束标签"),
    etree.ErrorTypes.ERR_TAG_NOT_FINISHED: ("标签没有结束，文件可能被截断", "补全标签，或重新导出文件"),
    etree.ErrorTypes.ERR_GT_REQUIRED: ("标签没有结束，文件可能被截断", "补全标签，或重新导出文件"),
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: ("用了未定义的实体", "直接写字符；保留字符写成 &lt; &gt; &amp; &quot;"),
    etree.ErrorTypes.ERR_ATTRIBUTE_REDEFINED: ("同一元素的属性重复", "删去重复的属性"),
    etree.ErrorTypes.ERR_ATTRIBUTE_WITHOUT_VALUE: ("属性没有值", "写成 名称=\"值\""),
    etree.ErrorTypes.ERR_LT_IN_ATTRIBUTE: ("属性值里有“<”", "把“<”写成 &lt;"),
    etree.ErrorTypes.ERR_INVALID_CHAR: ("含有 XML 不允许的控制字符", "删去该处的不可见字符"),
    etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE: ("用了未声明的命名空间前缀", "在根元素用 xmlns:前缀 声明它"),
}  # fmt: skip


def parse(content: bytes | str, place: str) -> etree._Element:
    """Return the root element of an XML document; comments and processing instructions are left out.

    `content` is UTF-8 bytes or decoded text of at most `MAX_BYTES`; `place` names it for people (a file name).
    Raises Invalid (code `xml`, fields `place`, `line`, `problem`, `cure`). Standard: XML 1.0, Namespaces in XML 1.0.
    """
    text = _text(content, place)
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    line = text.count("\n", 0, start) + 1
    if text[start : start + 9].upper() == "<!DOCTYPE":
        raise _invalid(place, line, "含有 DOCTYPE 声明（HTML 或带 DTD 的文件）", "删去 DOCTYPE，只交不带 DTD 的 XML")
    if text[start : start + 1] != "<":
        raise _invalid(place, line, "不是 XML：没有根元素", "交上以 <…> 元素开头的 XML 文件")
    try:
        root = etree.fromstring(text.encode(), _parser())
    except etree.XMLSyntaxError as error:
        raise _syntax(place, error) from None
    _check_elements(root, place)
    return root


def _parser() -> etree.XMLParser:
    # A parser of its own per document: lxml's parsers serialise threads. The encoding is fixed because the text was
    # decoded here; a declaration that says otherwise was refused or, for decoded text, no longer holds.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )


def _text(content: bytes | str, place: str) -> str:
    if len(content) > MAX_BYTES:
        raise _too_large(place)
    if isinstance(content, bytes):
        if content.startswith(_NOT_UTF8):
            raise _invalid(place, 1, "不是 UTF-8 编码", "用编辑器另存为 UTF-8")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise _invalid(place, line, "有不是 UTF-8 的字节", "用编辑器另存为 UTF-8") from None
        declared = _ENCODING.match(text)
        if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            raise _invalid(place, 1, f"声明的编码是 {declared[1][:40]}", '另存为 UTF-8，并声明 encoding="UTF-8"')
    else:
        text = content.removeprefix("\ufeff")
        try:
            if len(text.encode()) > MAX_BYTES:
                raise _too_large(place)
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            raise _invalid(place, line, "有残缺的字符", "删去该处的乱码") from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise _invalid(place, line, "含有空字节（NUL）", "这不是文本文件，或编码不是 UTF-8；重新导出为 UTF-8 的 XML")
    if not text.strip():
        raise _invalid(place, 1, "文件是空的", "交上完整的 XML 文件")
    return text


def _check_elements(root: etree._Element, place: str) -> None:
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise _too_deep(place, element.sourceline or 1)
        if str(element.tag).startswith(_XINCLUDE):  # nothing here resolves it, but a later reader of the text might
            raise _invalid(place, element.sourceline or 1, "含有 XInclude", "把要包含的内容直接写进文件")


def _syntax(place: str, error: etree.XMLSyntaxError) -> Invalid:
    line, column = error.position if error.position[0] else (1, 0)
    code: int = getattr(error, "code", 0)
    if code == etree.ErrorTypes.ERR_RESOURCE_LIMIT or "depth" in (error.msg or ""):
        return _too_deep(place, line)
    cause, cure = _CAUSES.get(code, ("不是格式正确的 XML", "在编辑器中改正该处，或用流程设计器重新导出"))
    return _invalid(place, line, f"第 {column} 列附近{cause}" if column else cause, cure)


def _too_large(place: str) -> Invalid:
    return _invalid(place, 1, f"文件超过 {MAX_BYTES // 1024 // 1024} MB", "删去嵌入的图片等内容，或拆成几个文件")


def _too_deep(place: str, line: int) -> Invalid:
    return _invalid(place, line, f"元素嵌套超过 {MAX_DEPTH} 层或内容过大", "减少嵌套层数和单个文本的长度")


def _invalid(place: str, line: int, problem: str, cure: str) -> Invalid:
    message = f"{place} 第 {line} 行：{problem}。办法：{cure}。"
    return Invalid(message, code="xml", place=place, line=line, problem=problem, cure=cure)
