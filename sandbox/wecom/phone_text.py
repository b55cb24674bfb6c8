"""The little markup that WeCom lets through in texts (D 90236), as safe HTML; all else is shown as it was typed."""

import re
from collections.abc import Callable
from html import escape, unescape

from markupsafe import Markup

Link = Callable[[str, str], str]  # the address and the label, both plain, to an <a> as HTML

_ANCHOR = re.compile(r"""<a\s+href\s*=\s*(["'])(?P<url>.+?)\1[^>]*>(?P<label>.*?)</a>""", re.I | re.S)
_CARD_TAG = re.compile(r"""<div\s+class\s*=\s*["'](gray|normal|highlight)["']\s*>|(</div>)|(<br\s*/?>)""", re.I)
_CODE = re.compile(r"`([^`\n]+)`")
_FONT = re.compile(r"""&lt;font\s+color=["']?(info|comment|warning)["']?\s*&gt;(.*?)&lt;/font&gt;""", re.I)
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_MARKDOWN_LINK = re.compile(r"\[([^\]\n]+)\]\(([^()\s]+)\)")
_KEPT = re.compile("\0(\\d+)\0")
_DATE = re.compile(r"\d+(?:-\d+)+(?: \d\d:\d\d)?")
_HEADING = re.compile(r"(#{1,6})\s+(.+)")


def is_web(url: str) -> bool:
    """Return whether an address is one that the webview opens."""
    return url.lower().startswith(("http://", "https://"))


def plain(content: str, link: Link) -> Markup:
    """Return a text message: its line breaks, and `<a href="…">` as links; nothing else is markup."""
    parts, at = [], 0
    for found in _ANCHOR.finditer(content):
        parts.append(escape(content[at : found.start()]))
        url, label = unescape(found["url"]), found["label"]
        parts.append(link(url, label) if is_web(url) else escape(label))
        at = found.end()
    parts.append(escape(content[at:]))
    return Markup("".join(parts).replace("\n", "<br>"))  # nosec B704


def card(description: str) -> Markup:
    """Return the description of a textcard: grey, normal and highlighted paragraphs."""
    parts, at, depth = [], 0, 0
    for found in _CARD_TAG.finditer(description):
        parts.append(escape(description[at : found.start()]))
        at = found.end()
        if found[1]:
            parts.append(f'<div class="text-{found[1].lower()}">')
            depth += 1
        elif found[3]:
            parts.append("<br>")
        elif depth:
            parts.append("</div>")
            depth -= 1
    parts += [escape(description[at:]), "</div>" * depth]
    return Markup("".join(parts).replace("\n", "<br>"))  # nosec B704


def whole(text: str) -> Markup:
    """Return a text of a card whose dates stay in one line: a browser would break them after a hyphen."""
    return Markup(_DATE.sub(r'<span class="whole">\g<0></span>', escape(str(text))))  # nosec B704


def markdown(content: str, link: Link) -> Markup:
    """Return WeCom's markdown: headings, bold, links, code, quotes, three colours; an unknown mark stays a letter."""
    lines: list[str] = []
    quoted = False
    for line in content.split("\n"):
        quote = line.startswith(">")
        if quote != quoted:
            lines.append("<blockquote>" if quote else "</blockquote>")
        quoted = quote
        line = line[1:].lstrip() if quote else line
        heading = _HEADING.fullmatch(line.strip())
        if heading is not None:
            lines.append(f'<p class="heading h{len(heading[1])}">{_inline(heading[2], link)}</p>')
        else:
            lines.append(f"<p>{_inline(line, link) or '<br>'}</p>")
    if quoted:
        lines.append("</blockquote>")
    return Markup("".join(lines))  # nosec B704


def _inline(line: str, link: Link) -> str:
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\0{len(kept) - 1}\0"

    def linked(found: re.Match[str]) -> str:
        return keep(link(found[2], found[1])) if is_web(found[2]) else found[0]

    line = _CODE.sub(lambda found: keep(f"<code>{escape(found[1])}</code>"), line.replace("\0", ""))
    line = escape(_MARKDOWN_LINK.sub(linked, line), quote=False)
    line = _FONT.sub(r'<span class="text-\1">\2</span>', _BOLD.sub(r"<strong>\1</strong>", line))
    return _KEPT.sub(lambda found: kept[int(found[1])], line)
