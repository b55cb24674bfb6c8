"""A small Markdown for the texts of forms: headings, lists, quotes, emphasis, code, links, rules.

Everything is escaped first; only the tags written here come out, so no HTML of an author reaches a page.
"""

import re
from html import escape

from markupsafe import Markup

_HEADING = re.compile(r"(#{1,6}) +(.{1,2000})")
_BULLET = re.compile(r"[-*+] +(.*)")
_NUMBERED = re.compile(r"\d{1,9}[.)] +(.*)")
_RULE = re.compile(r"(?:-{3,}|\*{3,}|_{3,})")
# The longer marks first; each alternative is closed by its own mark, so the search is linear.
_INLINE = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*|__([^_\n]+)__|\*([^*\s][^*\n]*)\*|\[([^\]\[\n]+)\]\(([^()\s]+)\)")
_LINK = re.compile(r"https?://[^\s\"'<>]+|mailto:[^\s\"'<>]+|tel:[+\d-]+|/(?!/)[^\s\"'<>\\]*")


def render(text: str) -> Markup:
    """Return the HTML of a text; headings begin at level 3, under those of the page."""
    blocks: list[str] = []
    lines: list[str] = []
    kind = ""

    def close() -> None:
        nonlocal kind
        if lines:
            blocks.append(_block(kind, lines))
            lines.clear()
        kind = ""

    for raw in text.splitlines():
        line = raw.strip()
        found, content = _classify(line)
        if found in ("", "heading", "rule"):
            close()
            if found == "heading":
                blocks.append(content)
            elif found == "rule":
                blocks.append("<hr>")
            continue
        if found != kind:
            close()
            kind = found
        lines.append(_inline(content))
    close()
    # Built from escaped parts only.
    return Markup("".join(blocks))  # nosec B704


def _classify(line: str) -> tuple[str, str]:
    if not line:
        return "", ""
    if _RULE.fullmatch(line):
        return "rule", ""
    if heading := _HEADING.fullmatch(line):
        level = min(len(heading[1]) + 2, 6)
        return "heading", f"<h{level}>{_inline(heading[2])}</h{level}>"
    if bullet := _BULLET.fullmatch(line):
        return "ul", bullet[1]
    if numbered := _NUMBERED.fullmatch(line):
        return "ol", numbered[1]
    if line.startswith(">"):
        return "blockquote", line[1:].strip()
    return "p", line


def _block(kind: str, lines: list[str]) -> str:
    if kind in ("ul", "ol"):
        return f"<{kind}>{''.join(f'<li>{line}</li>' for line in lines)}</{kind}>"
    return f"<{kind}>{'<br>'.join(lines)}</{kind}>"


def _inline(text: str) -> str:
    parts: list[str] = []
    position = 0
    for match in _INLINE.finditer(text):
        parts.append(escape(text[position : match.start()]))
        parts.append(_mark(match))
        position = match.end()
    parts.append(escape(text[position:]))
    return "".join(parts)


def _mark(match: re.Match[str]) -> str:
    code, strong, strong_too, emphasis, label, target = match.groups()
    if code:
        return f"<code>{escape(code)}</code>"
    if strong or strong_too:
        return f"<strong>{escape(strong or strong_too)}</strong>"
    if emphasis:
        return f"<em>{escape(emphasis)}</em>"
    if _LINK.fullmatch(target):
        return f'<a href="{escape(target)}" rel="noopener noreferrer">{escape(label)}</a>'
    return escape(match[0])
