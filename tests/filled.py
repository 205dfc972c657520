"""A pack whose judge turns down three rows in ten, models in this process, and a run of it: imported by tests, or killed."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent))

from flows.makings import pack
from preceptor import factory
from preceptor.draws import digest, fraction
from preceptor.recipe import Recipe, recipe_of
from preceptor.types import Completion, Document, Request

KINDS = ("count", "date", "place", "name", "cause")
REJECTED = 0.3
LIKED = """
    from preceptor.checks.base import check, failed, passed

    @check(decides=False, sees="what the judge dislikes", blind="truth", needs=("judge",))
    async def liked(example, skill, ask):
        said = await ask(skill.agent("5_verify/liked"), question=example.instruction.text)
        return passed() if said.fields["good"] else failed("the judge does not like it")

    CHECKS = (liked,)
"""
FILES = {
    "skill.toml": """
        title = "Small"
        [transform]
        pick = 1
        [instruct]
        pick = 3
        [refine]
        share = 0.0
        [respond]
        rounds = 0
    """,
    "2_instruct/taxonomy.toml": "".join(f'[[kind]]\nname = "{k}"\nabout = "Ask for a {k}."\nagent = "count"\n' for k in KINDS),
    "2_instruct/count.md": """
        +++
        [draws]
        letter = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]
        [reply]
        question = { max = 300 }
        answer = { max = 60 }
        +++
        {{ block("material", material.text) }}
        {{ kind.about }} It begins with {{ drawn.letter }}.
    """,
    "5_verify/liked.md": """
        +++
        role = "judge"
        [reply]
        good = { type = "boolean" }
        +++
        {{ block("question", question) }}
        Do you like it?
    """,
    "skill.py": LIKED,
}


def written(folder: Path) -> None:
    """The pack `small` in the folder, every kind weighed by code and then by the judge."""
    checks = 'checks = ["gold_text", "liked"]\n'
    taxonomy = FILES["2_instruct/taxonomy.toml"].replace('agent = "count"\n', f'agent = "count"\n{checks}')
    pack(folder, {**FILES, "2_instruct/taxonomy.toml": taxonomy})


def documents(n: int) -> list[Document]:
    return [Document(digest("doc", i), f"The {i} harbour has {i} gates and {i + 3} lamps.", f"{i}.md") for i in range(n)]


def recipe(folder: Path, **other: Any) -> Recipe:
    return recipe_of({"skills": ["small"], "teacher": "given", "judge": "given", **other}, folder)


class Teacher:
    """Questions and answers that follow from the prompt alone; a line for every call, so that a killed run can be counted."""

    name = "scripted"

    def __init__(self, ledger: Path | None = None, shuffled: str = "") -> None:
        self.asked = 0
        self._shuffled = shuffled
        self._ledger = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND) if ledger else None

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        told = digest(request.agent, request.messages[-1]["content"])
        if self._ledger is not None:
            os.write(self._ledger, f"{told}\n".encode())
        await asyncio.sleep(0.002 * fraction(self._shuffled, told))
        said = self._said(request, told)
        return Completion(orjson.dumps(said).decode(), prompt_tokens=100, completion_tokens=20)

    def _said(self, request: Request, told: str) -> dict[str, Any]:
        if request.agent.endswith("liked"):
            return {"good": fraction("liked", told) >= REJECTED}
        if request.agent.endswith("answer"):
            return {"answer": "It is forty-two.", "final": "forty-two"}
        # some questions are asked of a document in more than one pass
        often = f"What is said again in {int(told, 16) % 3}?"
        return {"question": often if fraction("often", told) < 0.15 else f"What is {told}?", "answer": "forty-two"}

    async def close(self) -> None:
        pass


def made(folder: Path, into: Path, n: int, ledger: Path | None = None, shuffled: str = "", **other: Any) -> factory.Run:
    """The run of the pack in `folder` over `n` documents."""
    model = Teacher(ledger, shuffled)
    models: Any = {"teacher": model, "judge": model}
    return factory.run(recipe(folder, **other), into, models=models, documents=documents(n))


if __name__ == "__main__":
    made(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), rows=int(sys.argv[5]))
