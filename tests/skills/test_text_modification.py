"""Every builder over texts of many kinds: its gold passes every check of its kind, and a spoiled gold is found out."""

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest

from preceptor import prompts
from preceptor.checks import find
from preceptor.checks.text import settled, unsaid
from preceptor.skill import load_skill
from preceptor.skills.text_modification import composing
from preceptor.skills.text_modification.skill import GIVEN, PLAIN, RUBRICS, complete, settle, sound, suits
from preceptor.types import Document, Dropped, Example, Gold, Instruction, Material, Reply
from skills.text_modification_texts import DEFECTS, TEXTS

SKILL = load_skill("text_modification")
SEEDS = ("a", "b", "c", "d", "e", "f")
COMPUTED = [k.name for k in SKILL.kinds if k.tier == "real" and k.gold == "computed"]


class NoAsk:
    """An ask that nothing here may use: code decides alone."""

    seed = "s"
    roles = frozenset({"teacher"})

    async def __call__(self, agent: Any, /, **_: Any) -> Any:
        raise AssertionError("a code check asked a model")

    async def use(self, tool: str, /, **_: Any) -> Any:
        raise AssertionError("a code check used a tool")


def material(name: str) -> Material:
    text, language = TEXTS[name]
    document = Document(name, text, f"{name}.txt", language=language, kind="table" if name == "table" else "prose")
    if name == "draft":
        return Material(document, "rough_draft", text, {"defects": DEFECTS}, language=language)
    return Material(document, "identity", text, language=language)


def made_of(kind: str) -> list[Instruction]:
    """What the builder makes of every text in its languages, with several seeds."""
    languages = SKILL.kind(kind).languages
    found = [SKILL.builders[kind](material(name), SKILL.kind(kind), seed) for name in TEXTS for seed in SEEDS
             if not languages or TEXTS[name][1] in languages]
    return list({m.id: m for m in found if isinstance(m, Instruction)}.values())


def answered(instruction: Instruction, text: str) -> Example:
    return Example(instruction, text, (), {"final": text})


async def failing(instruction: Instruction, text: str) -> list[str]:
    checks = [find(name, SKILL) for name in SKILL.kind(instruction.kind).checks]
    verdicts = [await check(answered(instruction, text), SKILL, NoAsk()) for check in checks if not check.needs]
    return [v.check for v in verdicts if v.outcome == "fail"]


@pytest.mark.parametrize("kind", COMPUTED)
async def test_the_computed_text_passes_every_check_of_its_kind(kind: str) -> None:
    made = made_of(kind)
    assert len(made) >= (1 if kind in ("draft_repair", "contents_list", "citation_style") else 2), "no text suits this builder"
    for instruction in made:
        assert instruction.gold is not None
        checks = [find(name, SKILL) for name in SKILL.kind(kind).checks]
        verdicts = [await c(answered(instruction, str(instruction.gold.value)), SKILL, NoAsk()) for c in checks if not c.needs]
        wrong = [f"{v.check}: {v.evidence}" for v in verdicts if v.outcome == "fail"]
        assert not wrong, f"{instruction.text}\n{instruction.gold.value}\n{wrong}"
        assert any(v.decides and v.outcome == "pass" and v.check != "gold_edit" for v in verdicts), "nothing but gold decides"


@pytest.mark.parametrize("kind", COMPUTED)
async def test_handing_the_text_back_unedited_fails(kind: str) -> None:
    for instruction in made_of(kind):
        assert await failing(instruction, instruction.material.text), instruction.text


def spoiled(text: str) -> dict[str, str]:
    """The text with one change that bears meaning, for each sort of change that it has room for."""
    found = {"a word dropped": re.sub(r" (?=\w{4,})\S*\w{4,}[,.]?(?= )", "", text, count=1)}
    if digits := re.findall(r"\d", text):
        at = text.rindex(digits[-1])
        found["another number"] = f"{text[:at]}{(int(digits[-1]) + 1) % 10}{text[at + 1 :]}"
    if names := re.findall(r"[a-z] ([A-ZÄ][a-zä]{3,})", text):
        found["another name"] = text.replace(names[-1], "Zyxwort", 1)
    found["the end lost"] = re.sub(r"[\s,.|]*\w+\W*$", "", text)
    return {how: wrong for how, wrong in found.items() if settled(wrong) != settled(text)}


@pytest.mark.parametrize("kind", COMPUTED)
async def test_a_spoiled_gold_is_found_out_by_another_way_than_the_builders(kind: str) -> None:
    for instruction in made_of(kind):
        assert instruction.gold is not None
        for how, wrong in spoiled(str(instruction.gold.value)).items():
            mistaken = replace(instruction, gold=Gold("edit", wrong, made_by="computed"))
            assert await failing(mistaken, wrong), f"{how}: {instruction.text}\n{wrong}"


async def test_one_target_left_is_named_by_the_check_that_looks_for_it() -> None:
    for instruction in made_of("redact"):
        assert instruction.gold is not None
        target = instruction.data["targets"][0]
        wrong = str(instruction.gold.value).replace(instruction.data["changes"][0]["new"], target, 1)
        assert {"target_gone", "only_named_changed", "gold_edit"} <= set(await failing(instruction, wrong))


@pytest.mark.parametrize("kind", [*SKILL.builders])
def test_the_same_seed_builds_the_same_task_and_its_request_says_all(kind: str) -> None:
    for name in TEXTS:
        first, again = (SKILL.builders[kind](material(name), SKILL.kind(kind), "x") for _ in range(2))
        assert first.id == again.id
        if isinstance(first, Dropped):
            assert first.reason
            continue
        assert not unsaid(first.text, first.data["says"]), first.text
        assert "{" not in first.text.replace(str(first.data.get("steps", "")), "") or kind == "two_edits"
        assert not {"shown", "labels", "left", "right", "items"} & set(first.data)


RULED = {
    "acrostic": "acrostic_spells", "vocabulary_limits": "vocabulary_rule", "person_change": "person_changed",
    "split_sentences": "sentences_short",
}


@pytest.mark.parametrize(("kind", "check"), RULED.items())
async def test_kinds_without_gold_reject_the_text_as_it_was(kind: str, check: str) -> None:
    made = made_of(kind)
    assert made
    for instruction in made:
        assert check in await failing(instruction, instruction.material.text), instruction.text


def test_a_wording_that_leaves_out_a_parameter_gives_way_to_the_builders() -> None:
    made = made_of("redact")[0]
    lazy = replace(made, text="Please black out the names in here.")
    assert complete(lazy).text == made.data["canonical"]
    assert complete(made) is made


async def test_composed_parts_hold_together_and_over_turns() -> None:
    made = made_of("two_edits")
    assert {p for m in made for p in m.data["kinds"]} >= {"redact", "format", "style_markup"}
    assert any(len(m.data["parts"]) > 2 for m in made) or len(made) > 10
    for whole in made:
        turns = composing.in_turns(whole, "")
        assert whole.gold is not None
        assert [m["role"] for m in turns.history] == ["user", "assistant"] * (len(whole.data["parts"]) - 1)
        assert turns.data["text_in_history"]
        assert not await failing(turns, str(whole.gold.value))
        assert await failing(turns, whole.data["parts"][-1]["data"]["source"])


async def test_an_edit_session_fails_when_an_earlier_wish_is_forgotten() -> None:
    made = made_of("edit_session")
    assert made
    for instruction in made:
        assert instruction.gold is not None
        assert len(instruction.history) == 6
        gold, session = str(instruction.gold.value), instruction.data["session"]
        forgotten = [
            gold[: gold.rindex(session["replace"]["new"])] + session["replace"]["old"]
            + gold[gold.rindex(session["replace"]["new"]) + len(session["replace"]["new"]) :],
            re.sub(r"^1\. ", "", gold),
            gold.replace(session["open"] + session["term"], session["term"], 1),
        ]
        for wrong in forgotten:
            assert "session_constraints_hold" in await failing(instruction, wrong), wrong


def test_a_constraint_that_the_right_text_breaks_is_dropped_with_the_reason() -> None:
    made, goal = made_of("redact")[0], next(g for g in SKILL.goals if g.name == "constrain")
    short = replace(made, data={**made.data, "constraints": [{"name": "max_words", "number": 3}]})
    dropped = settle(short, goal)
    assert isinstance(dropped, Dropped)
    assert "max_words 3" in dropped.reason
    assert not suits(goal, made, SKILL)


# ── what builders take and leave ─────────────────────────────────────────────────────────────────────────────────


def built(kind: str, text: str, seed: str = "a") -> Instruction | Dropped:
    """What the builder of a kind makes of an English text."""
    document = Document("t", text, "t.txt", language="en", kind="prose")
    made = SKILL.builders[kind](Material(document, "identity", text, language="en"), SKILL.kind(kind), seed)
    assert isinstance(made, Instruction | Dropped)
    return made


LETTER = """From: Ida Roth
Subject: Boat Shed Keys

Nobody has seen the keys since the clerk Ole Moen left them with Runa Vik on the pier. Ours are gone too, and Sunday is near.

Used under the Apache License, with thanks to the Creative Commons authors, who wrote down what others forgot."""


@pytest.mark.parametrize("seed", SEEDS)
def test_only_names_of_people_and_places_in_sentences_are_blacked_out(seed: str) -> None:
    made = built("redact", LETTER, seed)
    assert isinstance(made, Instruction)
    assert set(made.data["targets"]) <= {"Ole Moen", "Runa Vik"}


@pytest.mark.parametrize(("sentence", "fits"), [
    ("The basement throws away 31 kilos of cooked food a week.", True),
    ("A guest may stay for 31 days in one of the cabins.", False),
    ("At least 31 kilos of cooked food are thrown away.", False),
    ("The buoy came loose in 1998 during the spring storms.", False),
    ("If it rains, 31 of the boats stay in the harbour.", False),
])
def test_a_claim_is_contradicted_only_where_text_and_claim_cannot_both_be_true(sentence: str, fits: bool) -> None:
    filler = "Nobody at the landing had much to say about it, and those who had would rather wait for the clerk. " * 2
    made = [built("entail_contradict", f"{sentence} {filler}", seed) for seed in SEEDS]
    assert all(isinstance(m, Instruction) for m in made) == fits
    assert all(isinstance(m, Dropped) for m in made) != fits


def test_a_table_with_dates_of_one_form_gets_the_other() -> None:
    rows = "\n".join(f"Tarn {i},Northmoor,2023-0{i}-14,{i}4 customers in all" for i in range(1, 9))
    made = built("normalise_data", f"reservoir,district,inspected,note\n{rows}")
    assert isinstance(made, Instruction), made
    assert made.gold is not None
    assert "14 February 2023" in str(made.gold.value)


async def test_a_text_without_sources_gets_invented_ones_to_renumber() -> None:
    made = built("citation_style", TEXTS["harbour"][0])
    assert isinstance(made, Instruction), made
    assert made.gold is not None
    assert str(made.gold.value).count("[1]") >= 3, "cited twice and listed once"
    assert not await failing(made, str(made.gold.value))


async def test_a_failed_edit_says_where_without_saying_what_is_right() -> None:
    made = next(m for m in made_of("grammar_repair") if m.data["faults"])
    assert made.gold is not None
    verdict = await find("gold_edit", SKILL)(answered(made, made.material.text), SKILL, NoAsk())
    told = verdict.hint.partition("“")[2].partition("”")[0]
    assert told
    assert told in " ".join(made.material.text.split()), "the draft's own words"
    assert told not in " ".join(str(made.gold.value).split())


@pytest.mark.parametrize(("request_text", "data", "fits"), [
    ("Between 200 and 260 words, please.", {"min_words": 200, "max_words": 260}, True),
    ("About twice as long, please.", {"min_words": 200, "max_words": 260}, False),
    ("Between 200 and 210 words, please.", {"min_words": 200, "max_words": 210}, False),
    ("Give it 3 headings.", {"headings": 3}, True),
    ("Give it some headings.", {"headings": 3}, False),
])
def test_a_limit_that_the_request_does_not_give_is_never_judged_by(request_text: str, data: dict[str, Any], fits: bool) -> None:
    asked = Instruction(material("harbour"), "expand", request_text, "edit", data=data)
    assert isinstance(sound(asked), Instruction) == fits


# ── the pack's text ──────────────────────────────────────────────────────────────────────────────────────────────


def test_every_real_kind_has_its_own_prompt_and_checks_and_listed_ones_have_neither() -> None:
    for kind in SKILL.kinds:
        assert kind.about
        assert kind.example
        if kind.tier == "real":
            assert f"2_instruct/{kind.name}" in SKILL.agents
            checks = [find(name, SKILL) for name in kind.checks]
            assert any(c.decides for c in checks) or "judge" in kind.needs
            assert not (any(c.decides for c in checks) and "judge" in kind.needs), "code would override this judge"
    assert set(PLAIN) | {"two_edits"} == set(SKILL.builders)
    assert sum(k.origin == "paper" for k in SKILL.kinds) == 18


def test_every_prompt_renders_and_no_two_are_stamped_from_one() -> None:
    made = made_of("redact")[0]
    slots = {"document": made.material.document, "material": made.material, "kind": SKILL.kind("redact"),
             "instruction": made, "hints": "short", "avoid": (), "goal": SKILL.goals[0], "suggestion": "s",
              "partners": [{"name": "n", "about": "a"}],
             "task": "t", "draft": "d", "problems": ["p"], "critique": "c", "original": "o", "request": "r", "answer": "a",
             "genre": "g", "format": {}, "results": ()}
    own = {name: agent for name, agent in SKILL.agents.items() if not name.startswith("_")}
    runs = {}
    for name, agent in own.items():
        given = {k: slots[k] for k in GIVEN} if name.startswith("2_instruct") else slots
        assert prompts.messages(agent, given)
        words = re.findall(r"\w+", re.sub(r"\{[{%].*?[%}]\}", " ", agent.template).lower())
        runs[name] = {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    for a, b in itertools.combinations(runs, 2):
        assert len(runs[a] & runs[b]) <= 2, f"{a} and {b} share {runs[a] & runs[b]}"


class Judge(NoAsk):
    """A judge that quotes and says what it was told to."""

    roles = frozenset({"teacher", "judge"})

    def __init__(self, quote: str, verdict: str) -> None:
        self.fields = {"quote": quote, "reason": "because", "verdict": verdict}

    async def __call__(self, agent: Any, /, **slots: Any) -> Any:
        prompts.messages(agent, slots)
        return Reply("", self.fields, model="other")


@pytest.mark.parametrize("rubric", sorted(RUBRICS))
@pytest.mark.parametrize(("quote", "verdict", "outcome"),
                         [("the diary", "yes", "pass"), ("the diary", "no", "fail"), ("not in the row at all", "yes", "fail")])
async def test_a_rubric_counts_only_with_a_quotation_from_the_row(rubric: str, quote: str, verdict: str, outcome: str) -> None:
    example = answered(made_of("redact")[0], "He kept the diary.")
    example = replace(example, answer="He kept the diary.")
    said = await find(rubric, SKILL)(example, SKILL, Judge(quote, verdict))
    assert said.outcome == outcome
    assert (await find(rubric, SKILL)(example, SKILL, NoAsk())).outcome == "na"


class Teacher(NoAsk):
    """A teacher that replies from a table by the agent's file name."""

    def __init__(self, seed: str, **replies: dict[str, Any]) -> None:
        self.seed, self.replies, self.asked = seed, replies, list[str]()

    async def __call__(self, agent: Any, /, **slots: Any) -> Any:
        prompts.messages(agent, slots)
        name = agent.name.rsplit("/", 1)[-1]
        self.asked.append(name)
        return Reply("", self.replies[name], model="teacher")


async def refined(seed_task: Instruction, goal: str, **replies: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """What refinement makes of a task when this goal alone is there."""
    skill = replace(SKILL, goals=tuple(g for g in SKILL.goals if g.name == goal),
                    settings={**SKILL.settings, "refine": {**SKILL.settings["refine"], "share": 1.0}})
    ask = Teacher("s", **replies)
    return await SKILL.steps["refine"](seed_task, skill, ask), ask.asked


@pytest.mark.parametrize(("goal", "editor", "turns"), [("compose", "sender", 0), ("session", "last_turn", 2)])
async def test_a_second_edit_is_chosen_by_the_suggester_and_built_by_code(goal: str, editor: str, turns: int) -> None:
    seed_task = made_of("redact")[0]
    made, asked = await refined(seed_task, goal, joiner={"suggestions": [{"edit": "format", "why": "it goes to print"}]},
                                **{editor: {"request": "Both, please."}})
    assert asked == ["joiner", editor]
    new = made[1]
    assert isinstance(new, Instruction), new
    assert (new.kind, new.goal, new.parent) == ("two_edits", goal, seed_task)
    assert new.data["kinds"] == ["redact", "format"]
    assert len(new.history) == turns
    assert new.gold is not None
    assert not await failing(new, str(new.gold.value))
    assert not unsaid(new.text, new.data["says"]), "a lazy wording gives way"


async def test_a_new_sender_changes_the_words_and_never_the_right_text() -> None:
    seed_task = made_of("redact")[0]
    made, _ = await refined(seed_task, "persona", suggester={"suggestions": [{"way": "a docker", "why": "short"}]},
                            sender={"request": "Oi. Names out."})
    assert made[1].gold == seed_task.gold
    assert "Oi." in made[1].text
    assert not unsaid(made[1].text, seed_task.data["says"])


async def test_constraints_of_the_editor_travel_with_a_free_task() -> None:
    free = Instruction(material("harbour"), "paraphrase", "Put it differently.", "edit")
    rule = {"name": "max_words", "number": 90}
    made, _ = await refined(free, "constrain", suggester={"suggestions": [{"way": "a form", "why": "tight"}]},
                            editor={"request": "Differently, in 90 words at most.", "constraints": [rule]})
    assert made[1].data["constraints"] == [rule]
    verdict = await find("constraints_hold", SKILL)(answered(made[1], "word " * 91), SKILL, NoAsk())
    assert verdict.outcome == "fail"
