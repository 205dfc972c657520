"""Tool use, end to end: libraries that were tried, tasks whose end is proven, conversations that are carried out."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tool_use_fakes import (
    APIS,
    BAY,
    CODE,
    CODE_DOCUMENT,
    DRUM,
    FIND,
    GROWN,
    MOVE,
    PERSON,
    PLANS,
    REPLIES,
    SAMPLES,
    YardAsk,
    c,
    f,
    sandbox_or_skip,
)

from preceptor.flows.verify import verify
from preceptor.skill import load_skill
from preceptor.skills.tool_use.action_format import action_format, from_actions, unmarked
from preceptor.skills.tool_use.build import words, words_of
from preceptor.skills.tool_use.library import Unfit, books_of, declaration, declarations, unwrapped
from preceptor.skills.tool_use.plans import Desk, plan_of
from preceptor.skills.tool_use.skill import instruct, refine, respond, transform
from preceptor.skills.tool_use.tasks import returns_of
from preceptor.types import Call, Document, Dropped, Example, Instruction, Material, Reply

SKILL = load_skill("tool_use")
SEVEN = [k.name for k in SKILL.kinds if k.origin == "paper"]
REAL = [k.name for k in SKILL.kinds if k.tier == "real"]
SEEDS = Path(__file__).parents[2] / "examples" / "documents"


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    sandbox_or_skip()


async def library_of(ask: YardAsk, document: Document = CODE_DOCUMENT) -> Material:
    made = await transform(document, SKILL, ask)
    assert isinstance(made[0], Material), made[0]
    return made[0]


async def task_of(kind: str, ask: YardAsk, document: Document = CODE_DOCUMENT) -> Instruction:
    made = await instruct(await library_of(ask, document), SKILL.only([kind]), ask)
    assert isinstance(made[0], Instruction), made[0]
    ask.task = made[0]
    return made[0]


async def row_of(kind: str, ask: YardAsk, document: Document = CODE_DOCUMENT) -> Example:
    made = await respond(await task_of(kind, ask, document), SKILL, ask)
    assert isinstance(made[0], Example), made[0]
    return (await verify(made[0], SKILL, ask))[0]


# ── libraries ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_code_becomes_a_library_with_a_simulator_that_stood_its_trial() -> None:
    ask = YardAsk()
    made = await library_of(ask)
    names = [t["function"]["name"] for t in made.data["apis"]]
    assert made.genre == "api_library"
    assert names == ["find_drums", "get_drum", "move_drum", "scrap_drum"]
    assert made.data["effects"]["scrap_drum"] == "writes"
    assert made.data["grown"] in ("retrieval", "hypothesis")
    assert "## scrap_drum" in made.text
    assert "one of cracked, rusted, spent" in made.text


@pytest.mark.parametrize("drawn", ["retrieval", "hypothesis"])
async def test_a_library_grows_both_ways(drawn: str) -> None:
    for number in range(12):
        ask = YardAsk()
        ask.seed = f"seed {number}"
        if (await library_of(ask)).data["grown"] == drawn:
            assert ("search" in ask.used) == (drawn == "retrieval")
            return
    pytest.fail(f"no seed drew {drawn}")


async def test_a_library_does_not_grow_from_what_only_a_search_finds_near() -> None:
    class Elsewhere(YardAsk):
        async def use(self, tool: str, /, **arguments: Any) -> Any:
            if tool != "search":
                return await super().use(tool, **arguments)
            return [{"id": "x1", "title": "parse.py", "source": "x/parse.py", "snippet": "def find(tokens): ...", "score": 9.0}]

    for number in range(12):
        ask = Elsewhere()
        ask.seed = f"seed {number}"
        made = await library_of(ask)
        assert made.data["grown"] == "hypothesis"
        assert "grow_by_retrieval" not in ask.asked
        if made.data["not_grown"]:
            assert "nothing near enough" in made.data["not_grown"]["retrieval"]
            return
    pytest.fail("no seed drew retrieval")


async def test_a_library_grows_from_code_alone() -> None:
    class Prose(YardAsk):
        async def use(self, tool: str, /, **arguments: Any) -> Any:
            if tool != "search":
                return await super().use(tool, **arguments)
            told = {"title": "drum yard", "snippet": "find drums, move a drum"}
            return [{"id": "x1", "source": "x/yard.md", "kind": "prose", "score": 9.0, **told}]

    for number in range(12):
        ask = Prose()
        ask.seed = f"seed {number}"
        assert "grow_by_retrieval" not in ask.asked
        assert (await library_of(ask)).data["grown"] == "hypothesis"


HOURS = {"name": "opening", "single": True, "records": ['{"opens": "07:30", "closes": "17:00"}']}
DRUMS = {"name": "drums", "records": ['{"id": "a"}', '{"id": "b"}', '{"id": "c"}']}
TABLES = [
    ([DRUMS, HOURS], ""),
    ([{**DRUMS, "records": DRUMS["records"][:2]}], "needs 3"),
    ([{**DRUMS, "single": True, "records": ['{"id": "a"}']}], "is looked up by id"),
    ([HOURS], "at least has to hold records"),
    ([{**DRUMS, "records": ['{"id": "a"}'] * 3}], "an id of its own"),
]


@pytest.mark.parametrize(("collections", "why"), TABLES)
def test_single_records_stand_alone_and_what_is_looked_up_has_three(collections: list[Any], why: str) -> None:
    fields, tools = {"today": "2026-03-11", "now": "10:40", "collections": collections}, declarations(APIS)
    if why:
        with pytest.raises(Unfit, match=why):
            books_of(fields, tools)
    else:
        assert books_of(fields, tools)["opening"] == {"opens": "07:30", "closes": "17:00"}


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("there is no such entry", "Fails when: there is no such entry."),
        ("Fails when the drum is spent; the id is unknown.", "Fails when: the drum is spent; the id is unknown."),
        ("unknown id, closed desk", "Fails when: unknown id, closed desk."),
        ("never; the list may be empty", ""),
    ],
)
def test_what_an_api_refuses_stands_on_a_line_of_its_own(said: str, line: str) -> None:
    made = declaration({**APIS[0], "fails_when": said})["function"]["description"].splitlines()
    assert made[1:] == ["Returns: the entry as it is afterwards.", *([line] if line else [])]


async def test_a_rule_of_the_house_stands_once_in_the_system_message() -> None:
    words = "Before a drum is written off, name it and its damage and wait for a yes."
    rule = {"rule": "confirm", "api": "scrap_drum", "words": words}
    books = {**REPLIES["database"], "policy": [rule]}
    task = await task_of("confirm_before_irreversible", YardAsk(database=books))
    assert task.style.system.count("scrap_drum") + task.style.system.count(words) == 1


async def test_paragraphs_of_a_system_message_are_not_broken() -> None:
    long = "One long line that was broken at the width of a page because the file it stands in is a narrow one, and"
    assert unwrapped(f"{long}\ngoes on.\nToday is Friday.\n- a rule\n- another").count("\n") == 3
    for number in range(8):
        ask = YardAsk()
        ask.seed = f"seed {number}"
        system = (await task_of("one_api_all_parameters", ask)).style.system
        assert all(line[-1] in ".:" or line.startswith("- ") or line[-1].isdigit() for line in system.splitlines()), system


GET, MOVES = "def get_drum(state, drum_id):\n", "def move_drum(state, drum_id, bay):"
BROKEN_SIMULATORS = {
    "reads, and yet changed": CODE.replace(GET, GET + '    state["seen"] = drum_id\n'),
    "writes, and yet changed nothing": CODE.replace('    drum["scrapped"] = reason\n', ""),
    "accepted the unknown": CODE.replace(GET, GET + '    drum_id = "W-2041"\n'),
    "broke on an unknown": CODE.replace('        raise ApiError(f"no drum {drum_id}")', "        return 1 / 0"),
    "may not be imported": "import os\n" + CODE,
    "takes drum_id, place": CODE.replace(MOVES, "def move_drum(state, drum_id, place=None):\n    bay = place"),
}  # fmt: skip


@pytest.mark.parametrize("why", BROKEN_SIMULATORS)
async def test_a_simulator_that_breaks_its_promise_goes_back_with_the_reason(why: str) -> None:
    told: list[str] = []

    def coder(ask: YardAsk, slots: dict[str, Any], *_: Any) -> dict[str, Any]:
        told.append(slots["problem"])
        return {"code": CODE if slots["problem"] else BROKEN_SIMULATORS[why], "samples": SAMPLES}

    await library_of(YardAsk(simulator=coder))
    assert len(told) == 2, told
    assert why in told[1] or "unknown: bay" in told[1], told


SET_BAY = '    drum["bay"] = bay\n'
BOLTED = CODE.replace(SET_BAY, '    if not drum.get("loose"):\n        raise ApiError("still bolted")\n' + SET_BAY)
LOOSEN = {"api": "loosen_drum", "arguments": '{"drum_id": "W-2041"}'}
LOOSE = """

def loosen_drum(state, drum_id):
    drum = _drum(state, drum_id)
    drum["loose"] = True
    return {"drum_id": drum_id, "loose": True}
"""


def with_loosening(**simulator: Any) -> YardAsk:
    grown = {**GROWN[0], "name": "loosen_drum", "parameters": [GROWN[0]["parameters"][0]]}
    grows = {"gaps": ["a drum is bolted down", "nobody is told"], "apis": [{"closes": "a drum is bolted down", **grown}]}
    pieces = {"apis": [{"from_result": "d9", **grown}]}
    return YardAsk(grow_by_hypothesis=grows, grow_by_retrieval=pieces, simulator={"code": BOLTED + LOOSE, **simulator})


async def test_an_api_may_be_tried_after_the_calls_that_it_needs_before_it() -> None:
    moved = {**SAMPLES[2], "after": ["loosen_drum"]}
    made = await library_of(with_loosening(samples=[*SAMPLES[:2], moved, LOOSEN]))
    shown = returns_of(made)
    assert '(after loosen_drum) → {"drum_id": "W-2041", "bay": "B2"}' in shown
    assert "get_drum" in shown
    ask = with_loosening(samples=[*SAMPLES[:3], LOOSEN])
    assert "still bolted" in str((await transform(CODE_DOCUMENT, SKILL, ask))[0])


async def test_an_api_that_the_books_let_nobody_use_is_not_on_the_list() -> None:
    untried = [{"api": "move_drum", "why": "every drum is bolted down this morning"}]
    made = await library_of(with_loosening(samples=[*SAMPLES[:2], LOOSEN], untried=untried))
    assert [t["function"]["name"] for t in made.data["apis"]] == ["find_drums", "get_drum", "loosen_drum"]
    assert "move_drum" not in made.text
    both = [*untried, {"api": "loosen_drum", "why": "the spanner is gone"}]
    none = await transform(CODE_DOCUMENT, SKILL, with_loosening(samples=SAMPLES[:2], untried=both))
    assert "too little is left" in str(none[0])


async def test_a_simulator_that_stays_broken_is_dropped_with_the_reason() -> None:
    made = await transform(CODE_DOCUMENT, SKILL, YardAsk(simulator={"code": "x = 1\n" * 60, "samples": SAMPLES}))
    assert isinstance(made[0], Dropped)
    assert "in 3 attempts" in made[0].reason


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", REAL)
async def test_each_kind_ends_in_an_accepted_row(kind: str) -> None:
    ask = YardAsk()
    row = await row_of(kind, ask)
    failures = [(v.check, v.evidence) for v in row.verdicts if v.outcome == "fail"]
    assert (row.status, row.answered_by) == ("accepted", "model"), failures
    deciding = [v.check for v in row.verdicts if v.decides and v.outcome == "pass"]
    assert set(deciding) & set(SKILL.kind(kind).checks), deciding


def test_the_seven_kinds_of_the_paper_are_real() -> None:
    assert len(SEVEN) == 7
    assert set(SEVEN) <= set(REAL)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"calls": [c("move_drum", drum_id="W-9999", bay="B2")], "facts": [f("drum", "W-9999"), BAY]}, "no drum W-9999"),
        ({"calls": [c("move_drum", drum_id="W-2041", bay="A1")], "facts": [DRUM, f("bay", "A1")]}, "changes nothing"),
        ({"calls": [MOVE], "facts": [DRUM]}, "comes from no fact"),
        ({"calls": [c("drop_drum", drum_id="W-2041")], "facts": [DRUM]}, "there is no API"),
        ({"calls": [c("move_drum", drum_id="W-2041")], "facts": [DRUM]}, "bay missing"),
        ({"calls": [c("get_drum", drum_id="W-2041")], "facts": [DRUM]}, "no answer could be wrong"),
        ({"calls": [c("get_drum", drum_id="W-2041")], "facts": [DRUM], "report": ["99.5"]}, "no call returns it"),
        ({"calls": [MOVE, MOVE], "facts": [DRUM, BAY]}, "between 1 and 1"),
    ],
)
async def test_a_plan_that_does_not_hold_is_dropped_with_the_reason(plan: dict[str, Any], reason: str) -> None:
    planned = {"report": [], "goal": "get the drum out of the way", **plan, **PERSON}
    ask = YardAsk(chain=planned)
    made = await instruct(await library_of(ask), SKILL.only(["one_api_all_parameters"]), ask)
    assert isinstance(made[0], Dropped), made[0]
    assert reason in made[0].reason


@pytest.mark.parametrize(
    ("report", "becomes"),
    [(["2.rest_m"], [412.5]), (["2.weight"], "has 0 values under weight"), (["1.id", "4.id"], "no call 4")],
)
async def test_a_plan_may_point_at_what_comes_about_in_a_call(report: list[str], becomes: Any) -> None:
    ask = YardAsk(chain={**PLANS["dependent_chain"], "report": report})
    made = (await instruct(await library_of(ask), SKILL.only(["dependent_chain"]), ask))[0]
    if isinstance(made, Dropped):
        assert becomes in made.reason
    else:
        assert made.gold is not None
        assert made.gold.value["report"] == becomes


async def test_what_a_person_says_need_not_be_said_to_the_letter() -> None:
    facts = [DRUM, f("where it goes", "over into B2, by the wall"), f("why", "the lorry cannot turn", "idle")]
    plan = {**PLANS["one_api_all_parameters"], "facts": facts}
    said = {"message": "That lorry can't turn in here. W-2041 into B2, would you."}
    task = await task_of("one_api_all_parameters", YardAsk(chain=plan, goal=said))
    assert task.text == said["message"]


async def test_a_planner_names_what_is_taken_off_the_list() -> None:
    both = {**PLANS["several_apis_some_not_in_list"], "lacking": ["move", "shift"]}
    task = await task_of("several_apis_some_not_in_list", YardAsk(chain={**both, "removed": "move_drum"}))
    assert [t["function"]["name"] for t in task.tools] == ["find_drums", "get_drum", "scrap_drum"]
    ask = YardAsk(chain={**both, "removed": "get_drum"})
    made = await instruct(await library_of(ask), SKILL.only(["several_apis_some_not_in_list"]), ask)
    assert "the plan does not call it" in str(made[0])


async def test_an_order_is_planted_where_the_plan_reads_it() -> None:
    calls = [FIND, *PLANS["instruction_in_result"]["calls"]]
    plan = {**PLANS["instruction_in_result"], "calls": calls, "facts": [f("the owner", "Okonkwo"), BAY]}
    task = await task_of("instruction_in_result", YardAsk(chain=plan))
    assert task.data["planted"]["text"] in task.data["state"]["drums"]["W-2041"]["note"]


async def test_an_opening_that_tells_what_is_held_back_is_not_used() -> None:
    ask = YardAsk(goal={"message": "Please put W-2041 into B2, will you."})
    made = await instruct(await library_of(ask), SKILL.only(["one_api_missing_parameter"]), ask)
    assert isinstance(made[0], Dropped)
    assert "held back" in made[0].reason


async def test_facts_that_the_wording_forgot_are_pinned_to_it() -> None:
    ask = YardAsk(goal={"message": "The lorry is waiting and nobody moves."})
    task = await task_of("one_api_all_parameters", ask)
    assert task.text.endswith("Details: the drum: W-2041; the bay: B2")


async def test_the_needed_api_is_not_among_those_the_student_sees() -> None:
    task = await task_of("needed_api_not_in_list", YardAsk())
    assert "scrap_drum" not in str(task.tools)
    assert task.gold is not None
    assert task.gold.value["lacking"] == ["scrap"]
    assert task.gold.value["state"] == task.material.data["state"]
    assert task.answerability == "unanswerable"


# ── refinement ───────────────────────────────────────────────────────────────────────────────────────────────────

LONGER = {"goal": "make room in B2 first", "calls": [c("move_drum", drum_id="W-2057", bay="A9"), MOVE], "report": [],
          "facts": [DRUM, BAY, f("the other drum", "W-2057"), f("where it may go", "A9")]}  # fmt: skip


def only_goal(name: str) -> Any:
    return replace(
        SKILL,
        goals=tuple(g for g in SKILL.goals if g.name == name),
        settings={**SKILL.settings, "refine": {"goals": 1, "rounds": 1, "share": 1.0}},
    )


async def test_a_refined_task_needs_more_calls_than_its_parent_and_is_carried_out_anew() -> None:
    ask = YardAsk(editor=LONGER)
    seed = await task_of("one_api_all_parameters", ask)
    kept, longer = await refine(seed, only_goal("more_steps"), ask)
    assert kept is seed
    assert isinstance(longer, Instruction)
    assert longer.parent is seed
    assert longer.goal == "more_steps"
    assert longer.gold is not None
    assert len(longer.gold.value["calls"]) == 2
    assert longer.gold.value["state"]["drums"]["W-2057"]["bay"] == "A9"
    shown = next(text for name, text in ask.prompts if name == "suggester")
    assert "call: move_drum" in shown
    assert "result:" in shown
    ask.task = longer
    row = (await respond(longer, SKILL, ask))[0]
    assert isinstance(row, Example)
    assert (await verify(row, SKILL, ask))[0].status == "accepted"


@pytest.mark.parametrize(
    ("calls", "reason"),
    [([MOVE], "has to need more"), ([c("get_drum", drum_id="W-2041"), MOVE], "can be left out"),
     ([c("move_drum", drum_id="W-2041", bay="A9"), MOVE], "can be left out")],
)  # fmt: skip
async def test_a_refinement_that_is_longer_only_in_words_is_dropped(calls: list[Any], reason: str) -> None:
    ask = YardAsk(editor={**LONGER, "calls": calls})
    _, dropped = await refine(await task_of("one_api_all_parameters", ask), only_goal("more_steps"), ask)
    assert isinstance(dropped, Dropped), dropped
    assert reason in dropped.reason


@pytest.mark.parametrize(
    ("goal", "kind", "change"),
    [
        ("drop_an_input", "one_api_all_parameters", {"calls": [MOVE], "facts": [DRUM, f("the bay", "B2", "when_asked")]}),
        (
            "house_rule",
            "one_api_all_parameters",
            {"calls": [MOVE], "facts": [DRUM, BAY], "bound": "move_drum", "rule": "Name the drum, then wait for a yes."},
        ),
        ("passing_error", "several_apis_all_parameters", {**PLANS["several_apis_all_parameters"], "bound": "move_drum"}),
        ("few_calls", "several_apis_all_parameters", PLANS["several_apis_all_parameters"]),
        ("beside_the_point", "one_api_all_parameters", {"calls": [MOVE], "facts": [DRUM, BAY, f("the lorry", "4417", "idle")]}),
    ],
)
async def test_every_other_goal_makes_a_task_that_can_be_done(goal: str, kind: str, change: dict[str, Any]) -> None:
    plan = {"goal": "get the drum out of the way of the lorry", "report": [], **change}
    ask = YardAsk(editor={k: v for k, v in plan.items() if k in ("goal", "calls", "facts", "report", "bound", "rule")})
    made = await refine(await task_of(kind, ask), only_goal(goal), ask)
    assert isinstance(made[1], Instruction), made[1]
    ask.task = made[1]
    row = (await verify((await respond(made[1], SKILL, ask))[0], SKILL, ask))[0]  # type: ignore[arg-type]
    assert row.status == "accepted", [(v.check, v.evidence) for v in row.verdicts if v.outcome == "fail"]


# ── conversations ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_conversation_that_passes_is_the_row_and_the_failed_one_is_kept() -> None:
    from tool_use_fakes import oracle

    def second_time_right(ask: YardAsk, slots: Any, sample: int, history: Any, tools: Any) -> Reply:
        return oracle(ask, slots, sample, history, tools) if sample else Reply("STOP It is moved.")

    row = await row_of("one_api_all_parameters", YardAsk(assistant=second_time_right))
    assert row.status == "accepted"
    assert row.tries == 2
    assert row.fields["outcome"] == "done"
    assert [any(v.outcome == "fail" for v in d.verdicts) for d in row.drafts] == [True, False]


async def test_a_conversation_that_never_ends_is_bounded_and_rejected() -> None:
    def wanders(ask: YardAsk, slots: Any, sample: int, history: Any, tools: Any) -> Reply:
        return Reply("", calls=(Call("get_drum", {"drum_id": f"W-{len(history)}"}),))

    row = await row_of("one_api_all_parameters", YardAsk(assistant=wanders))
    assert (row.status, row.fields["outcome"]) == ("rejected", "")
    assert len([m for m in row.messages if m["role"] == "assistant"]) == SKILL.of("respond", "rounds")


async def test_the_same_call_three_times_running_ends_the_conversation() -> None:
    row = await row_of("one_api_all_parameters", YardAsk(assistant=Reply("", calls=(Call("get_drum", {"drum_id": "W-2041"}),))))
    assert row.status == "rejected"
    assert len([m for m in row.messages if m["role"] == "assistant"]) == 3


async def test_an_api_that_was_taken_away_cannot_be_called_all_the_same() -> None:
    def stubborn(ask: YardAsk, slots: Any, sample: int, history: Any, tools: Any) -> Reply:
        call = Call("scrap_drum", {"drum_id": "W-2041", "reason": "cracked"})
        return Reply("STOP Scrapped.") if len(history) > 1 else Reply("", calls=(call,))

    row = await row_of("needed_api_not_in_list", YardAsk(assistant=stubborn))
    failed = {v.check for v in row.verdicts if v.outcome == "fail"}
    assert row.data["state"] == row.instruction.material.data["state"]
    assert {"calls_valid", "outcome_right"} <= failed


@pytest.mark.parametrize("kind", ["one_api_missing_parameter", "error_then_recovery", "needed_api_not_in_list"])
async def test_the_action_form_loses_nothing(kind: str) -> None:
    row = await row_of(kind, YardAsk())
    written = action_format(row)
    assert all(turn["content"].startswith("## ACTION_TYPE\n") for turn in written if turn["role"] == "assistant")
    back, outcome = from_actions(written)
    expected = [json.loads(json.dumps(m)) for m in row.messages if m["role"] != "system"]
    expected[-1]["content"] = unmarked(expected[-1]["content"])
    assert outcome == row.fields["outcome"]
    assert back == expected


# ── what needs no strong teacher ─────────────────────────────────────────────────────────────────────────────────


def seed_document(name: str, kind: str) -> Document:
    return Document(name, (SEEDS / name).read_text(encoding="utf-8"), name, kind=kind, title="")


COMPUTED = [k.name for k in SKILL.kinds if k.data.get("build")]
DOCUMENTS = [("tool_library_openapi.yaml", "api"), ("reservoir_levels_2023.csv", "table")]


@pytest.mark.parametrize(("name", "kind"), DOCUMENTS)
async def test_an_api_document_and_a_table_become_libraries_by_code(name: str, kind: str) -> None:
    ask = YardAsk()
    made = await library_of(ask, seed_document(name, kind))
    assert ask.asked == ["describe"]
    assert len(made.data["apis"]) >= 4
    assert {"reads", "writes"} == set(made.data["effects"].values())


async def test_computed_books_are_such_as_the_service_would_have() -> None:
    names = [("Belt sander", "woodwork"), ("Belt grinder", "metalwork"), ("Loft ladder", "ladders"), ("Cable 7", "electrical")]
    told = {**REPLIES["describe"], "names": [{"name": n, "sort": s} for n, s in names]}
    for number in range(4):
        ask = YardAsk(describe=told)
        ask.seed = f"seed {number}"
        made = await library_of(ask, seed_document("tool_library_openapi.yaml", "api"))
        state, today = made.data["state"], made.data["state"]["today"]
        tools, loans = state["tools"], state["loans"]
        assert made.data["domain"] != "software"
        for tool in tools.values():
            assert 0 <= tool["waiting"] <= 6
            assert tool["waiting"] == sum(r["toolId"] == tool["id"] for r in state["reservations"].values())
            assert 5 <= tool["deposit"] <= 27.5
            assert tool["category"] == dict(names[:3]).get(tool["name"], tool["category"])
            assert tool["name"] in dict(names[:3]) or tool["category"].removesuffix("s") in tool["name"]
            opened = [n for n in loans.values() if n["toolId"] == tool["id"] and "returned" not in n]
            assert len(opened) == (tool["state"] == "on_loan")
        for loan in loans.values():
            late = loan["due"] < loan.get("returned", today)
            assert loan.get("returned", today) <= today
            assert late or loan["fine"] == 0


@pytest.mark.parametrize(("name", "kind"), DOCUMENTS[:1])
async def test_plans_by_code_take_the_entries_that_an_operation_is_for(name: str, kind: str) -> None:
    made = await library_of(YardAsk(), seed_document(name, kind))
    state, seen = made.data["state"], set()
    for number in range(40):
        desk = Desk(made.data["operations"], state, words_of("en"), (number,))
        call = plan_of("one_write", desk)["calls"][-1]
        seen.add(call["api"])
        if call["api"] == "borrow_tool":
            assert state["tools"][call["arguments"]["toolId"]]["state"] == "on_shelf"
        if call["api"] == "reserve_tool":
            assert state["tools"][call["arguments"]["toolId"]]["state"] == "on_loan"
        if call["api"] in ("renew_loan", "return_tool"):
            assert "returned" not in state["loans"][call["arguments"]["loanId"]]
    assert {"borrow_tool", "reserve_tool", "renew_loan"} <= seen


@pytest.mark.parametrize(("name", "kind"), DOCUMENTS)
async def test_a_model_that_can_do_nothing_still_yields_rows_marked_as_gold(name: str, kind: str) -> None:
    """The wording is no use, the assistant is silent: the plan by code carries the row, and the row says so."""
    accepted = []
    for task_kind in COMPUTED:
        ask = YardAsk(assistant=Reply("I am happy to help."), goal={"message": "I am calling about an entry of mine."})
        made = await instruct(await library_of(ask, seed_document(name, kind)), SKILL.only([task_kind]), ask)
        if isinstance(made[0], Instruction):
            row = (await verify((await respond(made[0], SKILL, ask))[0], SKILL, ask))[0]  # type: ignore[arg-type]
            failures = [(v.check, v.evidence) for v in row.verdicts if v.outcome == "fail"]
            assert row.status == "accepted", (task_kind, failures if row.answered_by == "gold" else row.instruction.gold)
            assert row.answered_by == "gold"
            accepted.append(task_kind)
    assert set(SEVEN) <= {*accepted}, [k for k in SEVEN if k not in accepted]


def test_every_declared_api_has_a_name_of_its_own() -> None:
    assert len({a["name"] for a in APIS}) == len(APIS)


def test_the_words_that_code_uses_are_there_in_every_language() -> None:
    english = words_of("en")
    for language in words():
        assert set(words_of(language)) == set(english)
    wordings = SKILL.styles["gold"]
    assert all(set(entry) == set(wordings[0]) for entry in wordings)
