"""What the tests of the flows are made of: small packs written into a folder, documents, and doors that tell."""

import asyncio
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.draws import fraction
from preceptor.models.scripted import ScriptedModel, prompt_of, read_script
from preceptor.skill import Skill, load_skill
from preceptor.testing import FakeAsk
from preceptor.types import Completion, Document, Instruction, Material, Request

TEMPLATE = Path(__file__).parents[2] / "src/preceptor/skills/_template/pack"
EXAMPLES = Path(__file__).parents[2] / "examples/documents"
TEXT = (
    "The gate of the inner harbour opens at six. Seventeen berths are kept free for visiting boats. A visitor may lie there "
    "for three nights. Boats over 14.5 metres go to the outer mole. A boat without working lights may not leave after sunset."
)
SMALL = {
    "skill.toml": """
        title = "Small"
        [transform]
        pick = 1
        [instruct]
        pick = 1
        [refine]
        share = 0.0
        [respond]
        rounds = 0
    """,
    "2_instruct/taxonomy.toml": """
        [[kind]]
        name = "count"
        about = "Ask for a number that the text gives."
        checks = ["gold_text"]
    """,
    "2_instruct/count.md": """
        +++
        [reply]
        question = { max = 300 }
        answer = { max = 60 }
        evidence = { type = "list", optional = true }
        +++
        {{ block("material", material.text) }}
        {{ kind.about }}
    """,
    "4_respond/answer.md": """
        +++
        [reply]
        answer = { max = 600 }
        final = { max = 200 }
        +++
        {{ block("task", task) }}
        Answer.
    """,
}
"""A pack with one kind and nothing else: the document as it is, one question, one answer, one check."""
CRITIC = {
    "4_respond/critic.md": """
        +++
        [reply]
        critique = { max = 400 }
        good = { type = "boolean" }
        +++
        {{ block("task", task) }}
        {{ block("draft", draft) }}
        {% for problem in problems %}
        - {{ problem }}
        {% endfor %}
        What is wrong with it?
    """,
    "4_respond/reviser.md": """
        +++
        [reply]
        answer = { max = 600 }
        final = { max = 200 }
        +++
        {{ block("task", task) }}
        {{ block("draft", draft) }}
        {{ block("critique", critique) }}
        Write it anew.
    """,
}
REFINE = {
    "3_refine/goals.toml": """
        [[goal]]
        name = "harder"
        about = "Two places of the text must be put together."
        question = "Which second place?"
        edits = "question"
    """,
    "3_refine/suggester.md": """
        +++
        [reply]
        suggestions = { type = "list", min = 0, max = 3 }
        +++
        {{ block("material", material.text) }}
        {{ block("question", instruction.text) }}
        {{ goal.about }} {{ goal.question }}
    """,
    "3_refine/editor.md": """
        +++
        [reply]
        question = { max = 300, optional = true }
        answer = { max = 60, optional = true }
        before = { max = 300, optional = true }
        after = { max = 300, optional = true }
        passage = { max = 3000, optional = true }
        +++
        {{ block("material", material.text) }}
        {{ block("question", instruction.text) }}
        {{ block("way", suggestion) }}
    """,
}


def pack(folder: Path, *layers: Mapping[str, str], name: str = "small", base: Mapping[str, str] = SMALL) -> Path:
    """The folder of a pack with the files of `base` and of the layers over it; an empty text leaves a file out."""
    for file, text in {**base, **{k: v for layer in layers for k, v in layer.items()}}.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        if not text:
            path.unlink()
    return folder / name


def skill(folder: Path, *layers: Mapping[str, str], **settings: Any) -> Skill:
    """The small pack with these layers, read."""
    return load_skill(pack(folder, *layers, **settings))


def template(folder: Path, name: str = "mine") -> Path:
    """A copy of the pack that `preceptor new` writes."""
    shutil.copytree(TEMPLATE, folder / name)
    return folder / name


def trial(path: Path) -> ScriptedModel:
    """The scripted teacher that comes with the template pack."""
    return read_script(path / "trial.jsonl", name="scripted")


def document(text: str = TEXT, **other: Any) -> Document:
    return Document(**{"id": "doc1", "text": text, "source": "harbour.md", **other})


def material(genre: str = "identity", text: str = TEXT, data: Mapping[str, Any] | None = None, **other: Any) -> Material:
    return Material(document(**other), genre, text, data or {}, language=other.get("language", "en"))


def instruction(**other: Any) -> Instruction:
    given = {"material": material(), "kind": "count", "text": "How many berths are kept free?", **other}
    return Instruction(**given)


def door(replies: Any = (), **settings: Any) -> FakeAsk:
    """The door of a test: `replies` as ScriptedModel takes them."""
    return FakeAsk(replies, **{"document": document(), **settings})


class Late:
    """A model whose replies arrive in an order that a seed shuffles."""

    def __init__(self, model: Any, seed: int) -> None:
        self.model, self.seed, self.name = model, seed, model.name
        self.order: list[str] = []

    async def complete(self, request: Request) -> Completion:
        said: Completion = await self.model.complete(request)
        for _ in range(int(fraction(self.seed, request.agent, prompt_of(request), request.sample) * 40)):
            await asyncio.sleep(0)
        self.order.append(request.agent)
        return said

    async def close(self) -> None:
        return None
