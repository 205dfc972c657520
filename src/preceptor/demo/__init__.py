"""The whole way in a few minutes: example documents in, verified rows out, with the embedded model and no key."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from preceptor import factory
from preceptor.engine.store import Store
from preceptor.errors import UserError
from preceptor.export import export
from preceptor.recipe import Recipe, recipe_of
from preceptor.skill import read_toml
from preceptor.types import Example

HERE = Path(__file__).parent
SHOWN = 4
"""Finished rows printed in full at the end."""
ROWS, PASSES, LATEST = 12, 4, 150.0
"""Rows that are enough, once each skill has one; passes at most; seconds after which no further pass is begun. What the
embedded model guesses depends on the machine's arithmetic, so one pass may bring many rows or few."""


def documents_folder() -> Path:
    """The example documents: in the installed package, or in the clone."""
    for folder in (HERE / "documents", HERE.parents[2] / "examples" / "documents"):
        if folder.is_dir():
            return folder
    raise UserError("the example documents are missing from this installation; install preceptor again, or use a clone")


def demo_recipe() -> Recipe:
    """The demo's recipe, with the folder of the example documents."""
    table = read_toml(HERE / "recipe.toml")
    folder = documents_folder()
    table["documents"] = table.pop("files")
    return recipe_of(table, folder, str(HERE / "recipe.toml"))


def strong_rows() -> Iterator[Mapping[str, Any]]:
    """Three recorded rows of a strong teacher, from the packs' golden runs."""
    for line in (HERE / "strong_rows.jsonl").read_text(encoding="utf-8").splitlines():
        yield orjson.loads(line)


def demonstrate(into: Path, *, keep: bool, screen: Any) -> None:
    """Run the demo into a folder and print all of it: what was made, what was thrown away and why, and where it is."""
    if not keep and (into / "run.db").exists():
        shutil.rmtree(into)
    words = read_toml(HERE / "words.toml")
    screen.say(words["before"])
    began = time.monotonic()
    with screen.live() as tell:
        run = _passes(into, _telling(into, tell, screen), screen.notice, began)
    done = export(into)
    screen.report(run.report, False)
    accepted = run.examples("accepted")
    screen.say(
        f"{SHOWN} of the {len(accepted)} accepted rows, in full:" if len(accepted) > SHOWN else "The accepted rows, in full:"
    )
    for example in _varied(accepted, SHOWN):
        screen.row(example)
    screen.say(words["strong"])
    for row in strong_rows():
        screen.plain_row(row)
    screen.exported(done, False)
    by_model = sum(e.answered_by == "model" for e in accepted)
    screen.say(
        f"{len(accepted)} accepted rows ({by_model} answered by the model, {len(accepted) - by_model} by gold that code "
        f"computed) in {time.monotonic() - began:.0f} seconds. The dataset: {done.folder}"
    )
    if run.ended and run.ended.interrupted:
        raise SystemExit(130)
    screen.say(words["after"])


def _passes(into: Path, tell: factory.Tell, notice: factory.Notice, began: float) -> factory.Run:
    """The run, over the same documents again with other draws until there are rows enough or no time is left."""
    recipe = demo_recipe()
    for passes in range(1, PASSES + 1):
        run = factory.run(recipe.model_copy(update={"passes": passes}), into, add=passes > 1, tell=tell, notice=notice)
        late = time.monotonic() - began > LATEST
        if late or enough(run, recipe) or (run.ended and run.ended.interrupted):
            break
    return run


def enough(run: factory.Run, recipe: Recipe) -> bool:
    """Whether the run has the rows that the demo promises, of every skill."""
    counts, by_model = run.report["kinds"], run.report["answered_by"].get("model", 0)
    accepted = Counter({skill: sum(c["accepted"] for c in counts if c["skill"] == skill) for skill in recipe.skills})
    return accepted.total() >= ROWS and by_model >= ROWS / 2 and all(accepted.values())


def _telling(into: Path, tell: factory.Tell, screen: Any) -> factory.Tell:
    """Progress, and each row as soon as it is accepted."""
    told: set[str] = set()

    def more(progress: Any) -> None:
        tell(progress)
        if progress.examples.get("accepted", 0) > len(told):
            store = Store(into)
            try:
                for stored in store.examples("accepted"):
                    if stored.node.id not in told:
                        told.add(stored.node.id)
                        screen.row_line(len(told), stored.skill, stored.node)
            finally:
                store.close()

    return more


def _varied(examples: list[Example], most: int) -> list[Example]:
    """Up to `most` examples, answered by the model first, of different kinds as far as there are."""
    ranked = sorted(examples, key=lambda e: e.answered_by != "model")
    shown: list[Example] = []
    for fresh in (True, False):
        for example in ranked:
            known = {e.instruction.kind for e in shown}
            if len(shown) < most and example not in shown and (not fresh or example.instruction.kind not in known):
                shown.append(example)
    return shown
