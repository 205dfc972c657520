"""Flow 3: the suggester proposes, the editor goes one way; what it marked is changed and nothing else."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.makings import REFINE, TEXT, door, instruction, skill
from preceptor.errors import RecipeError
from preceptor.flows.flow3_refine import drawn, refine
from preceptor.plan import plan_of
from preceptor.recipe import recipe_of
from preceptor.skill import Skill
from preceptor.types import Dropped, Gold, Instruction, Option

SHARE = {"skill.toml": 'title = "Small"\n[refine]\nshare = 1.0\n'}
WAY = {"suggestions": ["Join two places."]}


def goal(text: str) -> dict[str, str]:
    return {"3_refine/goals.toml": f'[[goal]]\nname = "change"\n{text}\n'}


SEED = instruction(gold=Gold("text", "seventeen", ("Seventeen berths",), ("17",)))
CHOICE = instruction(
    shape="multiple_choice",
    options=(Option("seventeen", "credited"), Option("ten", "off"), Option("forty", "off")),
    gold=Gold("option", "A"),
)


async def outcome(
    tmp_path: Path, aim: str, edit: Any, seed: Instruction = SEED, proposed: Any = WAY, layers: Any = SHARE
) -> Instruction | Dropped:
    """What the editor's reply made of the seed: the seed itself stays, and one thing is added."""
    small = skill(tmp_path, REFINE, goal(aim), layers)
    kept, made = await refine(seed, small, door({"*/suggester": proposed, "*/editor": edit}))
    assert kept is seed
    assert isinstance(made, Instruction | Dropped)
    return made


async def test_a_harder_question_keeps_the_passage_and_names_its_way(tmp_path: Path) -> None:
    made = await outcome(tmp_path, 'edits = "question"', {"question": "For how many nights?", "answer": "three"})
    assert isinstance(made, Instruction)
    assert (made.text, made.gold and made.gold.value, made.goal) == ("For how many nights?", "three", "change")
    assert (made.suggestion, made.depth, made.parent) == ("Join two places.", 1, SEED)
    assert made.material is SEED.material


async def test_the_passage_is_changed_where_the_editor_marked_it_and_nowhere_else(tmp_path: Path) -> None:
    edit = {"before": "Seventeen berths", "after": "Twelve berths", "answer": "twelve"}
    made = await outcome(tmp_path, 'edits = "material"\nflips = true', edit)
    assert isinstance(made, Instruction)
    assert made.material.text == TEXT.replace("Seventeen berths", "Twelve berths")
    assert made.material.parent is SEED.material
    assert made.material.change["changes"] == [{"before": "Seventeen berths", "after": "Twelve berths"}]
    assert (made.text, made.gold and made.gold.value) == (SEED.text, "twelve")


async def test_several_marked_changes_are_made_together(tmp_path: Path) -> None:
    editor = REFINE["3_refine/editor.md"].replace(
        "passage =",
        'changes = { type = "list", of = { before = {max = 99}, after = {max = 99} } }\n        passage =',
    )
    edit = {"changes": [{"before": "six", "after": "seven"}, {"before": "three nights", "after": "two nights"}]}
    made = await outcome(tmp_path, 'edits = "material"', edit, layers={**SHARE, "3_refine/editor.md": editor})
    assert isinstance(made, Instruction)
    assert made.material.text == TEXT.replace("six", "seven").replace("three nights", "two nights")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"before": "Eighteen berths", "after": "Ten"}, "is not in the passage: 'Eighteen berths'"),
        ({"before": "boat", "after": "ship"}, "stands in the passage more than once"),
        ({"before": "six", "after": "six"}, "changes nothing"),
        ({"question": "What else?"}, "marked no change of the passage"),
        ({"before": "six", "after": "seven", "passage": TEXT.replace("six", "seven") + " No dogs."}, "more of the passage"),
        ({"decline": "No second place bears on it."}, "change: declined: No second place bears on it."),
    ],
)
async def test_an_edit_that_is_not_what_was_marked_is_dropped_with_the_reason(
    edit: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    lost = await outcome(tmp_path, 'edits = "material"', edit)
    assert isinstance(lost, Dropped)
    assert reason in lost.reason
    assert (lost.step, lost.item) == ("refine", SEED)


async def test_a_whole_passage_that_agrees_with_the_mark_is_welcome(tmp_path: Path) -> None:
    edit = {"before": "six", "after": "seven", "passage": TEXT.replace("six", "seven").replace(". ", ".\n")}
    made = await outcome(tmp_path, 'edits = "material"', edit)
    assert isinstance(made, Instruction)
    assert made.material.text == TEXT.replace("six", "seven")


async def test_a_suggester_without_a_way_is_no_reason_to_pay_an_editor(tmp_path: Path) -> None:
    small = skill(tmp_path, REFINE, SHARE)
    ask = door({"*/suggester": {"suggestions": []}})
    _, lost = await refine(SEED, small, ask)
    assert isinstance(lost, Dropped)
    assert lost.reason == "harder: the suggester had no suggestion"
    assert [r.agent for r in ask.requests] == ["small/3_refine/suggester"]


async def test_a_suggester_that_declines_keeps_its_reason(tmp_path: Path) -> None:
    lost = await outcome(
        tmp_path, 'edits = "question"', {}, proposed={"suggestions": [], "decline": "It is as hard as it gets."}
    )
    assert isinstance(lost, Dropped)
    assert lost.reason == "change: declined: It is as hard as it gets."


async def test_an_unanswerable_edit_has_no_gold_and_is_not_refined_further(tmp_path: Path) -> None:
    small = skill(
        tmp_path, REFINE, goal('edits = "material"\nanswerability = "unanswerable"'),
        {"skill.toml": 'title = "Small"\n[refine]\nrounds = 3\n'},
    )  # fmt: skip
    edit = {"before": "Seventeen berths are kept free", "after": "Some berths are kept free"}
    ask = door({"*/suggester": WAY, "*/editor": edit})
    kept, made = await refine(SEED, small, ask)
    assert kept is SEED
    assert (made.gold, made.answerability, made.text) == (Gold("none", None), "unanswerable", SEED.text)
    assert len(ask.requests) == 2


@pytest.mark.parametrize(("said", "key"), [("B", "B"), ("(C)", "C"), ("forty", "C")])
async def test_an_answer_may_flip_while_the_options_keep_their_places(said: str, key: str, tmp_path: Path) -> None:
    edit = {"before": "Seventeen", "after": "Forty", "answer": said}
    made = await outcome(tmp_path, 'edits = "material"\nflips = true', edit, CHOICE)
    assert isinstance(made, Instruction)
    assert made.options == CHOICE.options
    assert made.gold == Gold("option", key)


async def test_an_answer_that_is_none_of_the_options_is_dropped(tmp_path: Path) -> None:
    lost = await outcome(tmp_path, 'edits = "both"', {"before": "Seventeen", "after": "Nine", "answer": "nine"}, CHOICE)
    assert isinstance(lost, Dropped)
    assert "'nine' is none of the options" in lost.reason


async def test_new_options_are_shuffled_and_have_their_key(tmp_path: Path) -> None:
    editor = """
        +++
        [reply]
        options = { type = "list", of = { text = {max = 60}, role = {max = 30}, reason = {max = 99} } }
        +++
        {{ block("question", instruction.text) }}
    """
    options = [{"text": t, "role": r, "reason": "x"} for t, r in (("17", "credited"), ("16", "near"), ("18", "near"))]
    made = await outcome(
        tmp_path, 'edits = "options"', {"options": options}, CHOICE, layers={**SHARE, "3_refine/editor.md": editor}
    )
    assert isinstance(made, Instruction)
    assert {o.text for o in made.options} == {"17", "16", "18"}
    assert made.gold is not None
    assert made.options["ABC".index(made.gold.value)].text == "17"
    assert made.text == CHOICE.text


async def test_rounds_go_on_from_the_last_refinement(tmp_path: Path) -> None:
    small = skill(tmp_path, REFINE, {"skill.toml": 'title = "Small"\n[refine]\nrounds = 2\n'})
    said = [
        {"question": "For how many nights?", "answer": "three"},
        {"question": "How late may a dark boat leave?", "answer": "sunset"},
    ]
    ask = door({"*/suggester": WAY, "*/editor": said})
    _, first, second = await refine(SEED, small, ask)
    assert (first.depth, second.depth, second.parent) == (1, 2, first)
    assert "For how many nights?" in str(ask.requests[2].messages[-1]["content"])


@pytest.mark.parametrize(
    ("aim", "seed"),
    [
        ('kinds = ["other"]', SEED),
        ('shapes = ["order"]', SEED),
        ('genres = ["identity/table"]', SEED),
        ('needs = ["judge"]', SEED),
        ("", instruction(answerability="unanswerable")),
    ],
)
async def test_goals_that_do_not_suit_are_not_drawn(aim: str, seed: Instruction, tmp_path: Path) -> None:
    assert await refine(seed, skill(tmp_path, REFINE, goal(aim), SHARE), door()) == [seed]


async def test_the_share_of_refined_instructions_is_a_rule_not_luck(tmp_path: Path) -> None:
    small = skill(tmp_path, REFINE, {"skill.toml": 'title = "Small"\n[refine]\nshare = 0.5\n'})
    seeds = [instruction(text=f"Question {n}?", gold=Gold("text", "x")) for n in range(60)]

    async def refined() -> list[bool]:
        ask = door({"*/suggester": WAY, "*/editor": {"question": "Harder?", "answer": "y"}})
        return [len(await refine(seed, small, ask)) > 1 for seed in seeds]

    first = await refined()
    assert 15 < sum(first) < 45
    assert first == await refined()


async def test_the_suggester_is_never_asked_to_write_the_item(tmp_path: Path) -> None:
    """What a suggester proposes reaches the editor as a proposal; the item is the editor's."""
    small = skill(tmp_path, REFINE, SHARE)
    ask = door(
        {
            "*/suggester": {"suggestions": ["QUESTION: What is the moon made of?"]},
            "*/editor": {"question": "Nights?", "answer": "three"},
        }
    )
    _, made = await refine(SEED, small, ask)
    assert made.text == "Nights?"
    assert made.suggestion == "QUESTION: What is the moon made of?"


QUOTED = """
    [[goal]]
    name = "untold"
    answerability = "unanswerable"
    shapes = ["short"]
    weight = 0.01
    [[goal]]
    name = "change"
"""


def quoted(folder: Path, quota: str, share: float = 0.5) -> Skill:
    numbers = f'title = "Small"\n[refine]\nshare = {share}\n[quota]\nunanswerable = {quota}\n'
    return skill(folder, REFINE, {"3_refine/goals.toml": QUOTED, "skill.toml": numbers})


def drawn_names(small: Skill, seed: Instruction = SEED, many: int = 400) -> Counter[str]:
    seeds = [replace(seed, text=f"Question {number}?") for number in range(many)]
    return Counter(",".join(goal.name for goal in drawn(one, small, door())) for one in seeds)


def test_the_quota_draws_who_becomes_unanswerable_and_not_the_goals_weight_or_the_share(tmp_path: Path) -> None:
    assert drawn_names(quoted(tmp_path / "all", "[1.0, 1.0]")) == {"untold": 400}
    assert set(drawn_names(quoted(tmp_path / "none", "[0.0, 0.0]"))) == {"change", ""}
    some = drawn_names(quoted(tmp_path / "some", "[0.10, 0.15]"))
    rows = 400 + 0.85 * (some["untold"] + some["change"])
    assert 0.09 < 0.85 * some["untold"] / rows < 0.16
    assert abs(some["change"] / (400 - some["untold"]) - 0.5) < 0.07
    bare = drawn_names(quoted(tmp_path / "bare", "[0.10, 0.15]", share=0.0))
    assert set(bare) == {"untold", ""}
    assert 0.09 < 0.85 * bare["untold"] / (400 + 0.85 * bare["untold"]) < 0.16


def test_what_cannot_be_made_unanswerable_is_not_drawn_for_it(tmp_path: Path) -> None:
    assert "untold" not in drawn_names(quoted(tmp_path, "[1.0, 1.0]"), CHOICE)


def test_the_recipe_may_ask_for_another_quota(tmp_path: Path) -> None:
    pack = quoted(tmp_path, "[0.10, 0.15]").path
    table = {"skills": {str(pack): {"quota": {"unanswerable": [0.0, 0.0]}}}, "teacher": "local", "documents": ["x"]}
    plan = plan_of(recipe_of(table, tmp_path))
    assert plan.quotas() == []
    assert set(drawn_names(plan.skills["small"])) == {"change", ""}
    with pytest.raises(RecipeError, match=r"skills\..*quota\.unanswerable = 0.3"):
        recipe_of({"skills": {"reading_comprehension": {"quota": {"unanswerable": 0.3}}}})
