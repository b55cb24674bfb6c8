"""Search keys of Chinese names: surnames by their own table, given names by pypinyin.

pypinyin reads a surname as the ordinary word (单 as dan, 曾 as ceng): right for 15 of 36 polyphonic surnames. The
tables below hold the reading as a surname; the other readings stay findable, because people type them as well.
"""

import re
import unicodedata
from functools import cache
from itertools import product

KEYS_LENGTH = 200  # of the column person.pinyin
_MOST_READINGS = 6  # of one surname

# two characters, with the reading of the pair
_DOUBLE = dict(
    entry.split(":")
    for entry in (
        "欧阳:ou yang|尉迟:yu chi|万俟:mo qi|单于:chan yu|长孙:zhang sun|澹台:tan tai|令狐:ling hu|上官:shang guan|"
        "诸葛:zhu ge|司马:si ma|司徒:si tu|司空:si kong|夏侯:xia hou|皇甫:huang fu|宇文:yu wen|慕容:mu rong|"
        "公孙:gong sun|赫连:he lian|东方:dong fang|端木:duan mu|南宫:nan gong|独孤:du gu|轩辕:xuan yuan|"
        "钟离:zhong li|申屠:shen tu|太史:tai shi|公冶:gong ye|濮阳:pu yang|淳于:chun yu|鲜于:xian yu|闾丘:lv qiu|"
        "呼延:hu yan|百里:bai li|东郭:dong guo|西门:xi men|亓官:qi guan|仲孙:zhong sun|乐正:yue zheng|宰父:zai fu|"
        "谷梁:gu liang|羊舌:yang she|左丘:zuo qiu|梁丘:liang qiu|拓跋:tuo ba|耶律:ye lv|完颜:wan yan|纳兰:na lan|"
        "巫马:wu ma|公羊:gong yang|漆雕:qi diao|颛孙:zhuan sun"
    ).split("|")
)

# one character that pypinyin reads otherwise, or that has several readings
_SINGLE = dict(
    entry.split(":")
    for entry in (
        "单:shan 曾:zeng 仇:qiu 解:xie 查:zha 区:ou 朴:piao 翟:zhai 盖:ge 缪:miao 覃:qin 种:chong 乐:yue 员:yun "
        "召:shao 尉:wei 燕:yan 任:ren 华:hua 纪:ji 宁:ning 葛:ge 洗:xian 冼:xian 逄:pang 秘:bi 折:she 黑:he 繁:po "
        "祭:zhai 那:na 隗:wei 钭:tou 郗:xi 牟:mu 柏:bai 薄:bo 费:fei 莘:shen 宿:su 行:xing 相:xiang 车:che 石:shi "
        "沈:shen 贾:jia 冯:feng 盛:sheng 万:wan 曲:qu 卜:bu 晁:chao 朝:chao 臧:zang 藏:zang 都:du 干:gan 哈:ha "
        "粘:nian 乜:nie 适:kuo 少:shao 郇:xun 宓:mi 郄:qie 幺:yao 逯:lu 佴:nai 尹:yin 谷:gu 应:ying 过:guo 訾:zi "
        "佘:she 阚:kan 呙:guo 仉:zhang 眭:sui"
    ).split()
)

_TONES = re.compile("[\u0300\u0301\u0304\u030c]")
_READING = re.compile(r"[A-Za-zü]+( [A-Za-zü]+)*")
_NOT_A_LETTER = re.compile(r"[^a-z0-9]")


def is_compound(surname: str) -> bool:
    """Whether two characters are a compound surname (复姓)."""
    return surname in _DOUBLE


def search_keys(name: str, reading: str = "") -> str:
    """Return the keys by which a name (姓名) is found: space separated, at most 200 characters.

    The first key is the full pinyin with the surname's proper reading, so that sorting by the keys sorts by name; then
    its initials, the given name alone, and the same with the surname's other readings. `reading` replaces
    the tables for one name: syllables separated by spaces, the surname's first, e.g. "zeng wei".
    """
    keys: dict[str, None] = {}
    for surname, given in _readings(name, reading):
        for key in ("".join(surname + given), "".join(s[0] for s in surname + given), "".join(given)):
            if key:
                keys[key] = None
    kept, length = [], -1
    for key in keys:
        length += len(key) + 1
        if length > KEYS_LENGTH:
            break
        kept.append(key)
    return " ".join(kept)


def is_reading(text: str) -> bool:
    """Whether a text is a reading that `search_keys` takes: syllables between single spaces, at most 60 characters."""
    return len(text) <= 60 and _READING.fullmatch(text) is not None


def normalised(text: str) -> str:
    """Return typed pinyin as the keys are written: small letters and digits only, no tones, ü as v."""
    plain = unicodedata.normalize("NFC", _TONES.sub("", unicodedata.normalize("NFD", text.lower())))
    return _NOT_A_LETTER.sub("", plain.replace("ü", "v"))


def _readings(name: str, reading: str) -> list[tuple[list[str], list[str]]]:
    if syllables := [s for s in map(normalised, reading.split()) if s]:
        return [(syllables[:1], syllables[1:])]
    name = "".join(name.split())
    found = []
    # 单于飞 may be 单于 + 飞 or 单 + 于飞: both are kept, the pair first
    if len(name) > 2 and name[:2] in _DOUBLE:
        given = _syllables(name[2:])
        found += [(list(surname), given) for surname in _double_readings(name[:2])]
    given = _syllables(name[1:])
    return found + [([surname], given) for surname in _single_readings(name[:1])]


def _syllables(text: str) -> list[str]:
    from pypinyin import lazy_pinyin  # 50 MB that only an import of staff needs

    return [s for s in map(normalised, lazy_pinyin(text)) if s]


@cache
def _single_readings(character: str) -> tuple[str, ...]:
    """Return the reading as a surname, then the others; those of common surnames (王 as yu) would only be noise."""
    if not character:
        return ()
    from pypinyin import Style, pinyin

    every = pinyin(character, style=Style.NORMAL, heteronym=True)[0]
    found = [_SINGLE[character], *every] if character in _SINGLE else every[:1]
    found = [r for r in map(normalised, found) if r]
    found += [r.replace("v", "yu") for r in found if "v" in r]  # 吕 is LYU in passports
    return tuple(dict.fromkeys(found))[:_MOST_READINGS]


@cache
def _double_readings(characters: str) -> tuple[tuple[str, str], ...]:
    first, second = _DOUBLE[characters].split()
    every = product(_single_readings(characters[0]), _single_readings(characters[1]))
    return tuple(dict.fromkeys([(first, second), *every]))[:_MOST_READINGS]
