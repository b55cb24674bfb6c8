"""The commands `piyue audit …`: the trail and its seals."""

from typing import Annotated

import typer

from cli.databases import open_database
from engine import audit, sealing
from engine.errors import Conflict
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="审计：核对办理记录")


@app.command("verify")
def audit_verify(
    anchor: Annotated[str, typer.Option(help="以前用 piyue audit head 记下的锚")] = "",
) -> None:
    """Check the code of every row of the trail and its seals (核对办理记录); exit code 1 if something is wrong."""
    with open_database(Settings()).reading() as session:
        total, broken = audit.verify(session)
        proof = sealing.verify(session, anchor)
    typer.echo(f"共 {total} 条办理记录，{len(broken)} 条被改动" + (f"：{broken[:20]}" if broken else ""))
    typer.echo(f"已封存 {proof.sealed} 条，未封存 {proof.unsealed} 条，{len(proof.wrong)} 处不符")
    for problem in proof.wrong[:20]:
        typer.echo(f"  {problem}")
    if broken or proof.wrong:
        raise typer.Exit(1)


@app.command("head")
def audit_head() -> None:
    """Print the anchor (锚) of the trail, to be kept outside the database; `verify --anchor` asks for it later."""
    with open_database(Settings()).reading() as session:
        found = sealing.head(session)
    if found is None:
        raise Conflict("还没有封存：让服务或 piyue worker 运行几秒后再试", code="nothing_sealed")
    typer.echo(found)
