"""Amounts in Chinese capitals (大写金额), as banks and the treasury require on vouchers."""

from decimal import Decimal

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_SECTIONS = ("", "万", "亿", "万亿")
LIMIT = Decimal(10) ** 16


def capitals(amount: Decimal) -> str:
    """Return an amount in yuan, of at most two decimals and below 10^16, in capitals: 1020.5 -> 壹仟零贰拾元伍角整.

    Rules of 正确填写票据和结算凭证的基本规定 (Payment and Settlement Measures, People's Bank of China, appendix 1):
    整 after yuan or jiao and none after fen, one 零 for any run of zeros between digits. ValueError outside the domain.
    """
    if not amount.is_finite() or abs(amount) >= LIMIT or amount != round(amount, 2):
        raise ValueError(f"no amount of money: {amount}")
    cents = int(abs(amount) * 100)
    yuan, jiao, fen = cents // 100, cents // 10 % 10, cents % 10
    text = f"{_integer(yuan)}元" if yuan or not cents else ""
    if jiao:
        # 零 also stands where the yuan end in zero, as in 壹拾元零伍角.
        text += ("零" if yuan and yuan % 10 == 0 else "") + f"{_DIGITS[jiao]}角"
    elif fen and yuan:
        text += "零"
    text += f"{_DIGITS[fen]}分" if fen else "整"
    return ("负" if amount < 0 else "") + text


def _integer(value: int) -> str:
    if not value:
        return _DIGITS[0]
    text, gap = "", False
    sections = []
    while value:
        value, section = divmod(value, 10_000)
        sections.append(section)
    for index in range(len(sections) - 1, -1, -1):
        section = sections[index]
        if not section:
            gap = bool(text)
            continue
        if text and (gap or section < 1000):
            text += "零"
        text += _section(section) + _unit(index, sections)
        gap = section % 10 == 0
    return text


def _unit(index: int, sections: list[int]) -> str:
    # 万亿 is said 万 when 亿 follows with its own digits: 壹万贰仟亿, not 壹万亿贰仟亿.
    return "万" if index == 3 and sections[2] else _SECTIONS[index]


def _section(value: int) -> str:
    text, gap = "", False
    for place in (3, 2, 1, 0):
        digit = value // 10**place % 10
        if digit:
            text += ("零" if gap else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        elif text:
            gap = True
    return text
