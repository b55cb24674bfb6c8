"""What WeCom lets through in texts, and nothing else."""

from html import escape

import pytest

from sandbox.wecom import phone_text


def link(url: str, label: str) -> str:
    return f'<a href="{escape(url)}">{escape(label)}</a>'


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("一\n二", "一<br>二"),
        ('见<a href="http://x/?a=1&amp;b=2">这里</a>。', '见<a href="http://x/?a=1&amp;b=2">这里</a>。'),
        ("<a href='https://x'>单引号</a>", '<a href="https://x">单引号</a>'),
        ('<a href="javascript:alert(1)">坏</a>', "坏"),
        ('<a href="http://x" onclick="y"><b>粗</b></a>', '<a href="http://x">&lt;b&gt;粗&lt;/b&gt;</a>'),
        ('<a href="http://x/&quot;onclick=y">引号</a>', '<a href="http://x/&quot;onclick=y">引号</a>'),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
    ],
)
def test_plain_text(typed: str, shown: str) -> None:
    assert phone_text.plain(typed, link) == shown


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ('<div class="gray">今天</div>改期', '<div class="text-gray">今天</div>改期'),
        ('<div class="highlight">未关', '<div class="text-highlight">未关</div>'),
        ("</div>多余<br>", "多余<br>"),
        ('<div class="evil" onclick=x>坏', "&lt;div class=&quot;evil&quot; onclick=x&gt;坏"),
    ],
)
def test_description_of_a_card(typed: str, shown: str) -> None:
    assert phone_text.card(typed) == shown


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("## 标题", '<p class="heading h2">标题</p>'),
        ("#号码", "<p>#号码</p>"),
        ("**粗** 和 `**码**`", "<p><strong>粗</strong> 和 <code>**码**</code></p>"),
        ("> 引\n> 用\n完", "<blockquote><p>引</p><p>用</p></blockquote><p>完</p>"),
        ("[读](http://x/**a**)", '<p><a href="http://x/**a**">读</a></p>'),
        ("[坏](javascript:x)", "<p>[坏](javascript:x)</p>"),
        ('<font color="info">绿</font>', '<p><span class="text-info">绿</span></p>'),
        ('<font color="red">红</font>', '<p>&lt;font color="red"&gt;红&lt;/font&gt;</p>'),
        ("**[粗链](http://x)**", '<p><strong><a href="http://x">粗链</a></strong></p>'),
        ("<img src=x onerror=y>\0" + "0\0", "<p>&lt;img src=x onerror=y&gt;0</p>"),
    ],
)
def test_markdown(typed: str, shown: str) -> None:
    assert phone_text.markdown(typed, link) == shown


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("年休假 2 天，11-27 起", '年休假 2 天，<span class="whole">11-27</span> 起'),
        ("已同意 · 李四 11-26 10:03", '已同意 · 李四 <span class="whole">11-26 10:03</span>'),
        ("2026-11-27 至 11-28", '<span class="whole">2026-11-27</span> 至 <span class="whole">11-28</span>'),
        ("A-1 & <b>", "A-1 &amp; &lt;b&gt;"),
    ],
)
def test_a_date_on_a_card_stays_in_one_line(typed: str, shown: str) -> None:
    assert phone_text.whole(typed) == shown
