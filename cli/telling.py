"""How the command line tells an operator of an error: in a few lines, with their places."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError

from engine.bpm.lint.finding import Finding
from engine.errors import EngineError
from engine.mistakes import expected

_MOST_TOLD = 50


def told(error: Exception) -> list[str]:
    """Return the lines that tell an operator of an error: a sentence, then its places."""
    match error:
        case EngineError():
            places = _by_row([e for e in getattr(error, "errors", ()) if e["message"] != error.message])
            places += [str(Finding(**found)) for found in error.fields.get("findings", ())]
            more = [f"  另有 {len(places) - _MOST_TOLD} 处"] if len(places) > _MOST_TOLD else []
            return [f"错误：{error.message}", *(f"  {place}" for place in places[:_MOST_TOLD]), *more]
        case ValidationError():  # of the settings
            prefix = "PIYUE_WECOM_" if error.title == "WeComSettings" else "PIYUE_"
            by_name = {e["loc"][0]: e for e in reversed(error.errors())}  # one line each: the first of its mistakes
            return [f"错误：环境变量 {prefix}{str(n).upper()} {expected(e)}" for n, e in reversed(by_name.items())]
        case ArgumentError():
            return ["错误：PIYUE_DATABASE_URL 不是可用的数据库地址，写法如 postgresql://用户:密码@主机:端口/库"]
        case _ if lacks_tables(error):
            return ["错误：数据库里缺少表，或表是旧版本的，请先运行 piyue db upgrade"]
        case _:
            problem = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            return [f"错误：数据库打不开或出了错，请检查 PIYUE_DATABASE_URL 和数据库是否已启动（{problem}）"]


def _by_row(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each place, one for all mistakes of a row of a sheet."""
    lines: dict[str, list[str]] = {}
    for error in errors:
        message = f"{error['place']}：{error['message']}"
        row = f"{error['sheet']} 第 {error['row']} 行" if "row" in error else message
        lines.setdefault(row, []).append(message.removeprefix(row).strip())
    return [" ".join(filter(None, (row, "；".join(told)))) if told != [""] else row for row, told in lines.items()]


def lacks_tables(error: Exception) -> bool:
    """Whether a database's error says that tables or columns are missing."""
    driver = getattr(error, "orig", None) or error
    undefined = getattr(driver, "sqlstate", None) in ("42P01", "42703")  # table, column
    return undefined or str(driver).startswith(("no such table", "no such column"))
