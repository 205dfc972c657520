"""Edits of the passage: what was to be taken away is gone, what was to turn has turned, and a reader finds no way left."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from preceptor.checks import controls
from preceptor.checks import edited as e
from preceptor.flows.quota import allows
from preceptor.skill import Goal, Kind
from preceptor.types import Agent, Document, Example, Gold, Instruction, Material, Reply

BEFORE = "Six went out and six came home. The cook had counted the plates: six. Ansel carried the rope, and nobody else did."
OPEN = "Some went out and came home. The cook had counted the plates. Ansel carried the rope, and nobody else did."
HALF = "Some went out and came home. The cook had counted the plates: six. Ansel carried the rope, and nobody else did."
TURNED = BEFORE.replace("Six", "Seven").replace("six", "seven")
ROUTES = ("Six went out and six came home", "the plates: six")


def material(text: str) -> Material:
    return Material(Document("d", text, "boat.txt"), "identity", text)


PARENT = Instruction(material(BEFORE), "literal", "How many went out?", "short", (), Gold("text", "six", ("Six went out",)))


def untold(text: str, routes: tuple[str, ...] = ROUTES, either: tuple[str, ...] = ("six", "seven")) -> Instruction:
    data = {
        "routes": [{"words": words, "leads": "says it"} for words in routes],
        "either": [{"reply": reply, "story": "so it was"} for reply in either],
    }
    made = replace(PARENT, material=material(text), gold=Gold("none", None), parent=PARENT, goal="gone", data=data)
    return replace(made, answerability="unanswerable")


def flipped(text: str, answer: str, *evidence: str) -> Instruction:
    return replace(PARENT, material=material(text), gold=Gold("text", answer, evidence), parent=PARENT, goal="flip")


class Skill:
    """A pack with two goals, whose kinds are decided by `gold_text`."""

    name = "reading_comprehension"
    goals = (SimpleNamespace(name="flip", flips=True), SimpleNamespace(name="gone", flips=False))
    checks: Mapping[str, Any] = {}

    def kind(self, name: str) -> Any:
        return SimpleNamespace(name=name, checks=("gold_text",), data={})

    def agent(self, name: str) -> Agent:
        return Agent(name, "")


class Finds:
    """An ask whose reader finds replies of these standings."""

    seed = "s"
    roles = frozenset({"teacher", "judge"})

    def __init__(self, *standings: str) -> None:
        self.standings, self.asked = standings, list[dict[str, Any]]()

    async def __call__(self, agent: Agent, /, *, history: Any = (), tools: Any = (), sample: int = 0, **slots: Any) -> Reply:
        self.asked.append({"agent": agent.name, **slots})
        found = [{"reply": f"reply {n}", "words": "w", "standing": s} for n, s in enumerate(self.standings)]
        return Reply("", {"replies": found}, model="other")

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        raise AssertionError("no tool is needed")


def bare(instruction: Instruction) -> Example:
    return Example(instruction, "", ())


CUTS = [
    (untold(OPEN), "pass"),
    (untold(HALF), "fail"),  # the plates still tell
    (untold(OPEN, ("Nine went out",)), "fail"),  # never stood there
    (untold(OPEN, either=("six", "six")), "fail"),  # the two replies are one
    (untold(BEFORE.replace("Ansel", "Birte"), ("Ansel carried the rope",)), "fail"),  # the old evidence stands
]


@pytest.mark.parametrize(("instruction", "outcome"), CUTS)
async def test_an_edit_that_leaves_a_way_to_the_answer_fails(instruction: Instruction, outcome: str) -> None:
    verdict = await e.edit_bites(bare(instruction), Skill(), Finds())
    assert verdict.outcome == outcome, verdict.evidence


FLIPS = [
    (flipped(TURNED, "seven", "Seven went out"), "pass"),
    (flipped(TURNED, "Ansel", "Ansel carried the rope"), "fail"),  # rests on what was there before
]


@pytest.mark.parametrize(("instruction", "outcome"), FLIPS)
async def test_a_flip_that_rests_on_old_words_fails(instruction: Instruction, outcome: str) -> None:
    assert (await e.edit_bites(bare(instruction), Skill(), Finds())).outcome == outcome


@pytest.mark.parametrize(("answer", "outcome"), [("seven", "pass"), ("six", "fail"), ("the six", "fail"), ("6", "fail")])
async def test_the_old_answer_in_other_words_is_no_flip(answer: str, outcome: str) -> None:
    verdict = await controls.flip_holds(bare(flipped(TURNED, answer, "Seven went out")), Skill(), Finds())
    assert verdict.outcome == outcome, verdict.evidence


async def test_what_no_edit_was_to_change_is_left_alone() -> None:
    longer = replace(PARENT, material=material(f"{BEFORE} It rained."), parent=PARENT, goal="longer")
    for instruction in (PARENT, longer):
        assert (await e.edit_bites(bare(instruction), Skill(), Finds())).outcome == "na"
        assert (await e.no_way_left(bare(instruction), Skill(), Finds("settled"))).outcome == "na"


READINGS = [
    (("possible", "possible"), "pass"),
    (("favoured", "favoured", "excluded"), "pass"),
    (("settled", "excluded"), "fail"),
    (("favoured", "possible"), "fail"),
    (("settled", "settled"), "fail"),
]


@pytest.mark.parametrize(("standings", "outcome"), READINGS)
async def test_a_row_whose_answer_a_reader_still_finds_fails(standings: tuple[str, ...], outcome: str) -> None:
    ask = Finds(*standings)
    verdict = await e.no_way_left(bare(untold(OPEN)), Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert verdict.by == "code"  # so that it counts beside the check of the answer
    assert BEFORE not in str(ask.asked)
    assert "unanswerable" not in str(ask.asked)


def test_a_goal_spares_the_kinds_that_cannot_undergo_it() -> None:
    goal = Goal("gone", shapes=("short",), spares=("vocabulary_cloze",))
    suits = ("short", "identity", "prose", frozenset({"teacher"}))
    assert allows(goal, Kind("literal"), *suits)
    assert not allows(goal, Kind("vocabulary_cloze"), *suits)
