"""Search keys of names."""

import pytest

from engine.org.pinyin import KEYS_LENGTH, normalised, search_keys

POLYPHONIC = (
    "单shan 曾zeng 仇qiu 解xie 查zha 区ou 朴piao 翟zhai 盖ge 缪miao 覃qin 种chong 乐yue 员yun 召shao 尉wei 燕yan 任ren "
    "华hua 纪ji 宁ning 葛ge 洗xian 冼xian 逄pang 秘bi 折she 黑he 繁po 祭zhai 那na 隗wei 牟mu 卜bu 臧zang 都du"
).split()


def test_there_are_36_polyphonic_surnames() -> None:
    assert len({entry[0] for entry in POLYPHONIC}) == 36


@pytest.mark.parametrize("entry", POLYPHONIC)
def test_polyphonic_surname(entry: str) -> None:
    surname, reading = entry[0], entry[1:]
    keys = search_keys(surname + "志远").split()
    assert keys[:2] == [reading + "zhiyuan", reading[0] + "zy"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("欧阳志远", "ouyangzhiyuan"),
        ("尉迟恭", "yuchigong"),
        ("万俟卨", "moqixie"),
        ("单于飞", "chanyufei"),
        ("长孙无忌", "zhangsunwuji"),
        ("澹台明", "tantaiming"),
        ("令狐冲", "linghuchong"),
        ("诸葛亮", "zhugeliang"),
        ("司马光", "simaguang"),
    ],
)
def test_two_character_surname(name: str, first: str) -> None:
    assert search_keys(name).split()[0] == first


def test_other_readings_stay_findable() -> None:
    assert {"shanxiongxin", "danxiongxin", "chanxiongxin", "sxx", "dxx", "cxx", "xiongxin"} <= set(
        search_keys("单雄信").split()
    )
    assert {"yuchigong", "weichigong"} <= set(search_keys("尉迟恭").split())


def test_a_pair_that_may_be_surname_and_given_name_is_found_both_ways() -> None:
    assert {"chanyufei", "shanyufei"} <= set(search_keys("单于飞").split())
    assert search_keys("单于").split()[0] == "shanyu"


def test_passport_spelling() -> None:
    assert {"lvmeng", "lyumeng"} <= set(search_keys("吕蒙").split())


def test_a_reading_given_by_hand_replaces_the_tables() -> None:
    assert search_keys("盖聂", "gai nie") == "gainie gn nie"


@pytest.mark.parametrize(
    ("name", "keys"),
    [("", ""), ("·", ""), ("John Smith", "johnsmith"), ("王", "wang w"), ("阿依古丽·买买提", "ayigulimaimaiti")],
)
def test_odd_names(name: str, keys: str) -> None:
    assert search_keys(name).startswith(keys)


def test_keys_fit_the_column() -> None:
    keys = search_keys("尉" + "阿卜杜热合曼" * 6)
    assert 0 < len(keys) <= KEYS_LENGTH


def test_typed_pinyin() -> None:
    assert normalised("Lǚ Měng's") == "lvmengs"
    assert normalised(" Zeng Wei ") == "zengwei"
