"""In the packs of the box, what makes a task decidable never reaches whoever answers, criticises or revises it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.makings import EXAMPLES
from preceptor.models.scripted import prompt_of
from preceptor.recipe import recipe_of
from preceptor.testing import SimulatedTeacher, simulate
from preceptor.types import Completion, Request

MARK = "zqxplanted"
SECRET = (
    "reason",
    "why",
    "plan",
    "conclusion",
    "thinking",
    "missing",
    "points",
    "flaw",
    "principle",
    "explanation",
    "about",
    "note",
)
"""Fields of generators, transformers and editors that no student sees, in whatever pack they stand."""
BEFORE = ("1_transform", "2_instruct", "3_refine")


def planted(value: Any) -> Any:
    """The reply with the mark before every secret text."""
    if isinstance(value, list):
        return [planted(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: marked(v) if k in SECRET else planted(v) for k, v in value.items()}


def marked(value: Any) -> Any:
    if isinstance(value, str):
        return f"{MARK} {value}"[: max(len(value), len(MARK))]
    return [marked(v) for v in value] if isinstance(value, list) else planted(value)


class Planting(SimulatedTeacher):
    """The simulated teacher, wrong in half of its answers, with marks in all that it plans."""

    def __init__(self) -> None:
        super().__init__(wrong="entity", share=0.5)
        self.seen: list[Request] = []
        self.marks = 0

    async def complete(self, request: Request) -> Completion:
        from dataclasses import replace

        self.seen.append(request)
        said = await super().complete(request)
        if request.schema is None or not any(f"/{step}/" in request.agent for step in BEFORE):
            return said
        fields = planted(orjson.loads(said.content))
        content = orjson.dumps(fields).decode()
        self.marks += content.count(MARK)
        return replace(said, content=content)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


@pytest.mark.parametrize("name", ["reading_comprehension", "text_modification"])
def test_no_request_for_an_answer_holds_what_was_planned(name: str, tmp_path: Path) -> None:
    files = ("the_case_against_the_shortest_route.md", "allotment_committee_meeting.txt")
    choice = {"transform": {"pick": 3, "identity_weight": 0.5}, "instruct": {"pick": 4}, "refine": {"share": 1.0}}
    table = {"documents": [str(EXAMPLES / f) for f in files], "skills": {name: choice}, "seed": 5}
    teacher = Planting()
    run = simulate(recipe_of(table, tmp_path), tmp_path / "run", teacher, limit=2, roles=("teacher",))
    asked = [r for r in teacher.seen if "/4_respond/" in r.agent]
    rows = [*run.examples("accepted"), *run.examples("rejected")]
    assert teacher.marks > 5
    assert len(asked) > 10
    assert {r.agent.rpartition("/")[2] for r in asked} >= {"answer", "critic", "reviser"}
    for request in asked:
        told = prompt_of(request)
        assert MARK not in told, (request.agent, told[max(0, told.find(MARK) - 300) : told.find(MARK) + 60])
        assert not re.search(r"\bcredited\b", told), request.agent
        assert not {"instruction", "gold", "example", "verdicts"} & set(request.slots), request.agent
    for row in rows:
        reasons = {o.reason for o in row.instruction.options if o.reason and MARK in o.reason}
        shown = "\n".join(str(m.get("content")) for m in row.messages)
        assert not any(reason in shown for reason in reasons)
