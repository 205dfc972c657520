"""What the tests of the export stand on: a run with all three skills, and rows of our own, stored as a run stores them."""

import asyncio
from pathlib import Path
from typing import Any

from flows.makings import EXAMPLES, document, instruction, material
from preceptor.engine.journal import Journal
from preceptor.engine.store import Item, kept, planned
from preceptor.recipe import recipe_of
from preceptor.testing import simulate
from preceptor.types import Draft, Example, Gold, Instruction, Produced, Style, Trace, Verdict

RIGHT, WRONG = Verdict("gold_text", "pass", "it is", decides=True), Verdict("gold_text", "fail", "it is not", decides=True)
KINDS: dict[str, dict[str, Any]] = {
    "reading_comprehension": {
        "documents": ["*.txt"],
        "kinds": ["literal", "multi_hop", "tone", "sequencing"],
        "transformers": ["story"],
    },
    "text_modification": {
        "documents": ["*.txt"],
        "kinds": ["keyword_replace", "edit_session", "undo_edit", "apply_changes"],
        "transform": {"pick": 1},
    },
    "tool_use": {
        "documents": ["*.yaml", "*.py"],
        "kinds": ["dependent_chain", "confirm_before_irreversible", "error_then_recovery", "near_duplicate_apis"],
        "refine": {"share": 0.2},
    },
}


def simulated(folder: Path) -> Path:
    """A run of the three skills on an API description, source code and a conversation: the simulated teacher's rows."""
    names = ("tool_library_openapi.yaml", "tide_clock.py", "allotment_committee_meeting.txt")
    table = {"documents": [str(EXAMPLES / n) for n in names], "skills": KINDS, "seed": 3, "licence": "CC-BY-4.0"}
    simulate(recipe_of({**table, "chunk": [1200, 6000, 9000]}, folder), folder / "run", limit=4)
    return folder / "run"


def answered(task: Instruction, answer: str, *earlier: Draft, **other: Any) -> Example:
    """An accepted example with its last draft right, and these before it."""
    by = other.pop("by", "answerer")
    last = Draft(answer, by, {"final": answer}, verdicts=(RIGHT,), model="" if by == "gold" else "teacher-1")
    history = [{"role": "system", "content": task.style.system}] if task.style.system else []
    asked = {"role": "user", "content": f"{task.material.text}\n\n{task.text}"}
    messages = (*history, *task.history, asked, {"role": "assistant", "content": answer})
    verdicts, drafts = (RIGHT,), (*earlier, last)
    made = {"verdicts": verdicts, "status": "accepted", "model": "teacher-1", "tries": len(drafts), **other}
    return Example(task, answer, messages, {"final": answer}, drafts, **made)


def wrong(answer: str, **other: Any) -> Draft:
    return Draft(answer, "answerer", {"final": answer}, verdicts=(WRONG,), model="teacher-1", **other)


def own_rows() -> list[Example]:
    """A pair of each sort: a wrong draft, a revised one, and a twin whose passage was changed; a row by gold; reasoning."""
    plain = instruction(text="How many berths?", gold=Gold("text", "seventeen"), style=Style(system="You are a pilot."))
    before = "Seventeen berths are kept free for visiting boats."
    twin = material(text="Twelve berths are kept free.", data={})
    changed = {"changes": [{"before": before, "after": "Twelve berths are kept free."}], "why": "flip"}
    flipped = Instruction(
        **{
            **{f: getattr(plain, f) for f in plain.__slots__},
            "material": type(twin)(document(), "identity", twin.text, {}, plain.material, changed),
            "gold": Gold("text", "twelve"),
            "parent": plain,
            "goal": "flip",
            "suggestion": "make it twelve",
        }
    )
    other = instruction(text="How many nights?", gold=Gold("text", "three"))
    computed = instruction(text="In capitals.", shape="edit", gold=Gold("edit", "THE GATE", made_by="computed"))
    return [
        answered(plain, "seventeen", wrong("ten"), reasoning="I counted the berths."),
        answered(flipped, "twelve"),
        answered(other, "three nights", wrong("two nights", critique="Read the third sentence."), by="reviser"),
        answered(computed, "THE GATE", wrong("The Gate"), by="gold", answered_by="gold", model=""),
    ]


def stored(folder: Path, examples: list[Example], **recipe: Any) -> Path:
    """A run folder that holds these examples of one document."""

    async def keep() -> None:
        journal = Journal(folder)
        try:
            item = Item(document(licence="CC-BY-4.0"), "own")
            steps = [Trace("verify", e, (e,)) for e in examples]
            whole = Produced(tuple(examples), (), tuple(steps))
            await journal.remember("recipe", {"name": "own", "seed": 1, "teacher": "scripted", **recipe})
            await journal.remember("skipped", [{"skill": "own", "kind": "k", "role": "judge", "line": "judge = …"}] * 2)
            await journal.put(*planned([item]))
            await journal.put(*kept(item, whole))
        finally:
            journal.close()

    asyncio.run(keep())
    return folder
