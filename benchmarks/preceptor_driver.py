"""The product in the bench of peers: its public API, a pack of five agents, journal on, documents made as they are wanted.

Run by a `bench.py` that provides `common` (see benchmarks/README.md); it cannot be run alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import orjson

from preceptor import Document, Example, Recipe, load_recipe, run

PACKS = Path(__file__).parent


class Documents:
    """The workload's documents, each made when its turn comes; iterated again, they are the same."""

    def __init__(self, n: int, steps: int) -> None:
        self.n, self.steps = n, steps

    def __iter__(self) -> Iterator[Document]:
        for number in range(self.n):
            text = common.doc(number)
            if self.steps == 1:
                row = {"instruction": common.INSTR["transform"], "passage": text, "kind": "single"}
                yield Document(f"doc{number}", orjson.dumps(row).decode(), str(number), kind="instruction")
            else:
                yield Document(f"doc{number}", text, str(number))


def recipe_of(job: Any) -> Recipe:
    """The recipe, read from a file as any user's is."""
    pack = PACKS / ("chain_json" if job.json else "chain")
    file = Path(job.workdir) / "recipe.toml"
    file.write_text(
        f'start = "{"respond" if job.steps == 1 else "transform"}"\n'
        f'skills = ["{pack}"]\n'
        f'teacher = {{ url = "{job.base}", model = "sim", in_flight = {job.conc} }}\n'
        f"[limits]\nin_flight = {job.conc}\n"
    )
    return load_recipe(file)


def links(example: Example) -> list[str]:
    """What each agent of the chain wrote."""
    last = example.instruction
    if last.parent is None:
        return [example.answer]
    return [last.material.text, last.parent.text, last.suggestion, last.text, example.answer]


def main() -> None:
    job = common.job()
    recipe = recipe_of(job)
    job.start()
    made = run(recipe, Path(job.workdir) / "run", documents=Documents(job.n, job.steps), notice=print)
    job.end()
    rows = (example for status in ("accepted", "rejected") for example in made.each(status))
    job.save((int(row.instruction.material.document.source), links(row)) for row in rows)


main()
