"""The commands `piyue staff …`: import, roles, passwords, accounts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.databases import open_database
from engine.connectors.wecom import accounts as wecom_accounts
from engine.errors import Invalid
from engine.org import auth, roles, staff_import, staff_template, system_accounts
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="人员：导入、角色与密码")


@app.command("import")
def staff_import_(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Import people and departments from a spreadsheet (导入人员), all or nothing."""
    with open_database(Settings()).unit_of_work() as session:
        done = staff_import.import_staff(session, None, file.read_bytes())
    typer.echo(f"新增 {done.created}、更新 {done.updated}、不变 {done.unchanged}、停用 {done.disabled}")


@app.command("template")
def staff_template_(file: Path = Path("人员导入模板.xlsx")) -> None:
    """Write the spreadsheet template for the import (导出模板)."""
    file.write_bytes(staff_template.template())
    typer.echo(f"已写入 {file}")


Number = Annotated[str, typer.Argument(help="工号", metavar="工号")]
RoleCode = Annotated[str, typer.Argument(help="角色代码，见 piyue staff roles", metavar="角色")]
DepartmentCode = Annotated[str | None, typer.Option("--department", help="只对这个部门有效：部门编码")]


@app.command("roles")
def staff_roles() -> None:
    """List the roles (列出角色) with the number of people who hold each."""
    with open_database(Settings()).reading() as session:
        for code, name, count in roles.listed(session):
            typer.echo(f"{code:<20}{count:>5} 人  {name}")


@app.command("grant")
def staff_grant(number: Number, role: RoleCode, department: DepartmentCode = None) -> None:
    """Give a person a role (分配角色), everywhere or for one department."""
    with open_database(Settings()).unit_of_work() as session:
        roles.grant(session, None, role, number, department)
        person = roles.numbered(session, number).name
    typer.echo(f"{person}（{number}）现在有角色 {role}" + (f"，限部门 {department}" if department else ""))


@app.command("revoke")
def staff_revoke(number: Number, role: RoleCode, department: DepartmentCode = None) -> None:
    """Take a role away again (收回角色)."""
    with open_database(Settings()).unit_of_work() as session:
        roles.revoke(session, None, role, number, department)
        person = roles.numbered(session, number).name
    typer.echo(f"已收回 {person}（{number}）的角色 {role}" + (f"，限部门 {department}" if department else ""))


@app.command("password")
def staff_password(
    number: Number, stdin: Annotated[bool, typer.Option("--stdin", help="从标准输入读一行，不询问")] = False
) -> None:
    """Set a person's password (设置密码), asked for twice; all their sessions end."""
    database = open_database(Settings())
    with database.reading() as session:
        person = roles.numbered(session, number)
    if stdin:
        new = sys.stdin.readline().rstrip("\r\n")
    else:
        new = typer.prompt(f"{person.name}（{number}）的新密码", hide_input=True)
        if typer.prompt("再输入一次", hide_input=True) != new:
            raise Invalid("两次输入的密码不一样，没有改动", code="password_differs")
    with database.unit_of_work() as session:
        auth.set_password(session, None, person.id, new)
    typer.echo(f"{person.name}（{number}）的密码已设置")


@app.command("system")
def staff_system(
    number: Annotated[str, typer.Argument(help="编号，例如 SYS-HIS", metavar="编号")],
    name: Annotated[str, typer.Argument(help="名称，例如 挂号系统", metavar="名称")],
    department: Annotated[str, typer.Option("--department", help="管这个系统的部门：部门编码")],
) -> None:
    """Create a system account (新建系统账号), as which another system's service tokens act."""
    with open_database(Settings()).unit_of_work() as session:
        account = system_accounts.create_system_account(session, None, number, name, department)
    typer.echo(f"系统账号 {account.name}（{number}）已建立：{account.id}")


@app.command("wecom")
def staff_wecom(number: Number, userid: Annotated[str, typer.Argument(help="企业微信账号；- 解除")] = "") -> None:
    """Show which WeCom member a person is, or change it (企业微信账号); it is verified anew at the next entry."""
    with open_database(Settings()).unit_of_work() as session:
        if userid == "-":
            wecom_accounts.unlink(session, None, number)
        elif userid:
            wecom_accounts.link(session, None, number, userid)
        typer.echo(str(wecom_accounts.shown(session, None, number)))
