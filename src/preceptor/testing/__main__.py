"""`python -m preceptor.testing`: gates, simulate, record, replay, calibrate, endpoint, batches."""

import asyncio
import sys
from pathlib import Path

import click

from preceptor.errors import PreceptorError


@click.group()
def main() -> None:
    """The test kit from the command line."""


@main.command()
@click.argument("skills", nargs=-1)
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be given more than once.")
@click.option("--rows", default=6, show_default=True, help="Right rows of each kind.")
@click.option("--why", is_flag=True, help="Also print each row that a check judged otherwise than it should.")
def gates(skills: tuple[str, ...], kinds: tuple[str, ...], rows: int, why: bool) -> None:
    """Does each deciding check tell good rows from rows with one thing wrong? Exit 1 where one does not."""
    from preceptor.testing.gates import Gate
    from preceptor.testing.gates import gates as made

    def tell(gate: Gate) -> None:
        mark = "  " if gate.holds else "✗ "
        click.echo(
            f"{mark}{gate.skill + '/' + gate.kind:55} {gate.check:24} good {gate.passed:2}/{gate.good:<2}  "
            f"broken {gate.caught:3}/{gate.broken:<3}"
        )
        for line in gate.told if why or not gate.holds else ():
            click.echo(f"      {line[:240]}")

    table = made(skills, kinds, want=rows, tell=tell)
    for line in table.judged:
        click.echo(f"  {line}")
    for kind, reason in table.unreached.items():
        click.echo(f"✗ {kind}: not reached: {reason}")
    missed = [g for g in table.gates if not g.holds]
    click.echo(
        f"\n{len(table.gates)} gates, {len(missed)} miss; {len(table.judged)} kinds reached, not decided; "
        f"{len(table.unreached)} not reached"
    )
    sys.exit(0 if table.holds else 1)


@main.command()
@click.argument("recipe", type=click.Path(exists=True, path_type=Path))
@click.argument("into", type=click.Path(path_type=Path))
@click.option("--wrong", default="", help="The mutator that spoils the answers.")
@click.option("--share", default=1.0, show_default=True, help="How many of them.")
@click.option("--documents", "limit", type=int, default=0, help="Take only so many documents.")
def simulate(recipe: Path, into: Path, wrong: str, share: float, limit: int) -> None:
    """A whole run of RECIPE in the folder INTO, with the simulated teacher in every role."""
    from preceptor.recipe import load_recipe
    from preceptor.testing.simulated import SimulatedTeacher
    from preceptor.testing.simulated import simulate as simulated

    run = simulated(load_recipe(recipe), into, SimulatedTeacher(wrong=wrong, share=share), limit=limit)
    counts = {status: len(run.examples(status)) for status in ("accepted", "rejected", "surplus")}
    click.echo(", ".join(f"{n} {status}" for status, n in counts.items()))


@main.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.argument("pack")
def record(run: Path, pack: str) -> None:
    """Make the finished RUN the golden run of PACK: its replies, tool results and rows."""
    from preceptor.testing.golden import record as recorded

    click.echo(", ".join(f"{n} {what}" for what, n in recorded(run, pack).items()))


@main.command()
@click.argument("pack")
def replay(pack: str) -> None:
    """Make the golden run of PACK again from its record, and say what is otherwise. Exit 1 where something is."""
    from preceptor.testing.golden import stale

    lines = stale(pack)
    click.echo("\n".join(lines) or "as recorded")
    sys.exit(1 if lines else 0)


@main.command()
@click.option("--recipe", type=click.Path(exists=True, path_type=Path), required=True)
@click.argument("skills", nargs=-1)
def calibrate(recipe: Path, skills: tuple[str, ...]) -> None:
    """Show planted rows, good and bad, to the judge of a recipe: how often is it right?"""
    from preceptor.testing.calibrate import calibrate as calibrated

    rows = calibrated(recipe, skills)
    for row in rows:
        mark = " " if row.agrees else "✗"
        click.echo(f"{mark} {row.skill}/{row.kind} {row.check}: planted {row.planted}, judged {row.said}: {row.why}")
    right = sum(row.agrees for row in rows)
    click.echo(f"\n{right} of {len(rows)} planted rows judged as they should be")


@main.command()
@click.option("--port", default=0, show_default=True, help="0: a free one, which is printed.")
@click.option("--ledger", type=click.Path(path_type=Path), required=True, help="A line is added for every call.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds before a reply, half to one and a half of it.")
@click.option("--tell", type=click.Path(path_type=Path), help="A file that is to hold the address.")
@click.option("--seconds", default=3600.0, show_default=True, help="When to stop by itself.")
def endpoint(port: int, ledger: Path, delay: float, tell: Path | None, seconds: float) -> None:
    """Serve the simulated teacher as an OpenAI-compatible endpoint on loopback."""
    from preceptor.testing.endpoint import serve

    asyncio.run(serve(port, ledger, delay, tell, seconds))


@main.command()
@click.option("--port", default=0, show_default=True, help="0: a free one, which is printed.")
@click.option("--ledger", type=click.Path(path_type=Path), required=True, help="A line is added for all that is asked.")
@click.option("--mode", default="plain", show_default=True, help="plain, expire, hang, late, vanish, errors, slow.")
@click.option("--tell", type=click.Path(path_type=Path), help="A file that is to hold the address.")
@click.option("--seconds", default=3600.0, show_default=True, help="When to stop by itself.")
def batches(port: int, ledger: Path, mode: str, tell: Path | None, seconds: float) -> None:
    """Serve the simulated teacher as a batch service of OpenAI's form on loopback."""
    from preceptor.testing.batches import MODES, serve

    if mode not in MODES:
        raise click.BadParameter(f"{mode!r}; there are: {', '.join(MODES)}")
    asyncio.run(serve(ledger, tell, mode, seconds, port))


if __name__ == "__main__":
    try:
        main()
    except PreceptorError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
