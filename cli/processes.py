"""The commands `piyue process …`: check, deploy, try out."""

from pathlib import Path

import typer

from cli.databases import open_database, upgrade
from engine.bpm import definitions, lint, scenarios
from engine.db import Database
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="流程：检查、部署、试跑")

_SUFFIXES = {".bpmn", ".json", ".dmn"}


def process_files(folder: Path) -> dict[str, str | bytes]:
    """Read the files of a process folder that are deployed."""
    if not (folder / "process.bpmn").is_file():
        raise typer.BadParameter(f"{folder} 里没有 process.bpmn")
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in _SUFFIXES)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


@app.command("lint")
def process_lint(path: Path, json: bool = False, organisation: bool = False) -> None:
    """Check a process folder (检查): findings with file, line, element and cure; exit code 1 if there is an error.

    With --organisation roles, posts, departments and people are looked up in the database too, as deploying does.
    """
    known = None
    if organisation:
        with open_database(Settings()).unit_of_work() as session:
            known = definitions.organisation(session)
    findings = lint.check(process_files(path), known=known)
    if json:
        import orjson

        typer.echo(orjson.dumps([f.as_dict() for f in findings], option=orjson.OPT_INDENT_2).decode())
    else:
        for finding in findings:
            typer.echo(str(finding))
        errors = sum(f.severity == "error" for f in findings)
        typer.echo(f"{path}: {errors} 个错误，{len(findings) - errors} 个提醒")
    if any(f.severity == "error" for f in findings):
        raise typer.Exit(1)


@app.command("deploy")
def process_deploy(path: Path, note: str = "") -> None:
    """Deploy a process folder as a new version (部署); running instances stay on theirs."""
    with open_database(Settings()).unit_of_work() as session:
        version = definitions.deploy(session, None, process_files(path), note=note)
        done = "已部署" if version.fresh else "与这些文件相同，没有部署新版本"
        for finding in version.findings:
            typer.echo(str(finding))
        warned = f"，{len(version.findings)} 个提醒" if version.findings else ""
        typer.echo(f"{version.key} 第 {version.number} 版{done}{warned}")


@app.command("test")
def process_test(path: Path) -> None:
    """Play the scenarios of a process folder in a database of their own (试跑场景); exit code 1 if one fails.

    What none of them shows is listed after them: flows, outcomes, returns. It is for the publisher to judge.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scenarios.db"
        upgrade(url)
        database = Database(url, audit_key=bytes(32))
        report = scenarios.run(database, path)
        database.dispose()
    for result in report.results:
        typer.echo(str(result))
    typer.echo(f"{sum(r.passed for r in report.results)}/{len(report.results)} 个场景通过")
    for gap in report.gaps:
        typer.echo(gap)
    if not report.gaps:
        typer.echo("每一条线、每一个办理结果、每一步的退回、每一条规则都有场景")
    if not all(r.passed for r in report.results):
        raise typer.Exit(1)
