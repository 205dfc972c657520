"""A conversation changed in one thing that matters is caught by the check named beforehand, and a good one by none."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "skills"))

from tool_use_fakes import CODE_DOCUMENT, PLANS, YardAsk, c, f, sandbox_or_skip

from preceptor.checks import find
from preceptor.checks.state import _given, contains, number_key, other_unit, same_call, unfounded
from preceptor.skill import load_skill
from preceptor.skills.tool_use.skill import instruct, respond, transform
from preceptor.types import Example, Gold, Instruction, Material, Message

SKILL = load_skill("tool_use")
READ = {"calls": [c("get_drum", drum_id="W-2041")], "facts": [f("the drum", "W-2041")], "report": ["412.5"]}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, plan) for name, plan in PLANS.items()}
ROWS["looked_up"] = ("one_api_all_parameters", {**PLANS["one_api_all_parameters"], **READ})


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    sandbox_or_skip()


@pytest.fixture(scope="module")
def made() -> dict[str, Example]:
    return {}


async def row_of(name: str, made: dict[str, Example]) -> Example:
    """The good row of that name, made once."""
    if name not in made:
        kind, plan = ROWS[name]
        ask = YardAsk(chain=plan)
        material = (await transform(CODE_DOCUMENT, SKILL, ask))[0]
        assert isinstance(material, Material)
        task = (await instruct(material, SKILL.only([kind]), ask))[0]
        assert isinstance(task, Instruction), task
        ask.task = task
        row = (await respond(task, SKILL, ask))[0]
        assert isinstance(row, Example)
        made[name] = row
    return made[name]


# ── changes of one thing ─────────────────────────────────────────────────────────────────────────────────────────

Change = Callable[[Example], Example]


def argument(api: str, name: str, value: Any) -> Change:
    """Another argument in every call of an API."""

    def changed(message: Message) -> Message:
        calls = []
        for call in message.get("tool_calls") or ():
            given = json.loads(call["function"]["arguments"])
            given = {**given, name: value} if call["function"]["name"] == api else given
            calls.append({**call, "function": {**call["function"], "arguments": json.dumps(given)}})
        return {**message, "tool_calls": calls} if calls else message

    return lambda row: replace(row, messages=tuple(changed(m) for m in row.messages))


def left_out(api: str) -> Change:
    """The calls of an API, and their results, are not made."""

    def change(row: Example) -> Example:
        calls = [call for m in row.messages for call in m.get("tool_calls") or ()]
        gone = {call["id"] for call in calls if call["function"]["name"] == api}
        kept = [m for m in row.messages if m.get("tool_call_id") not in gone]
        return replace(row, messages=tuple(m for m in kept if not gone & {call["id"] for call in m.get("tool_calls") or ()}))

    return change


def added(api: str, result: Any, **arguments: Any) -> Change:
    """One call more, before the last message."""

    def change(row: Example) -> Example:
        function = {"name": api, "arguments": json.dumps(arguments)}
        call = {"role": "assistant", "content": "", "tool_calls": [{"id": "more", "type": "function", "function": function}]}
        told = {"role": "tool", "tool_call_id": "more", "content": json.dumps(result)}
        return replace(row, messages=(*row.messages[:-1], call, told, row.messages[-1]))

    return change


def said(answer: str, outcome: str = "") -> Change:
    """Another last message."""

    def change(row: Example) -> Example:
        fields = {**row.fields, "outcome": outcome} if outcome else row.fields
        return replace(
            row, answer=answer, fields=fields, messages=(*row.messages[:-1], {"role": "assistant", "content": answer})
        )

    return change


def called_first(row: Example) -> Example:
    """The calls come before the question that they depend on."""
    spoken = [m for m in row.messages if m["role"] in ("system", "user", "assistant") and not m.get("tool_calls")]
    calls = [m for m in row.messages if m.get("tool_calls") or m["role"] == "tool"]
    opening = 2 if spoken[0]["role"] == "system" else 1
    return replace(row, messages=(*spoken[:opening], *calls, *spoken[opening:]))


def result_told(old: str, new: str) -> Change:
    def change(row: Example) -> Example:
        return replace(
            row,
            messages=tuple(
                {**m, "content": m["content"].replace(old, new)} if m["role"] == "tool" else m for m in row.messages
            ),
        )

    return change


def no_consent(row: Example) -> Example:
    return replace(row, data={**row.data, "turns": [{**turn, "consent": "not_asked"} for turn in row.data["turns"]]})


MOVED = {"drum_id": "W-2041", "bay": "B9"}
BROKEN: list[tuple[str, str, Change, str]] = [
    ("other argument", "one_api_all_parameters", argument("move_drum", "bay", "B3"), "end_state"),
    ("other argument", "one_api_all_parameters", argument("move_drum", "bay", "B3"), "gold_calls"),
    ("other argument", "one_api_superfluous_parameters", argument("move_drum", "bay", "7731"), "gold_calls"),
    ("other argument", "several_apis_all_parameters", argument("move_drum", "bay", "B3"), "end_state"),
    ("other argument", "one_api_missing_parameter", argument("move_drum", "bay", "A9"), "asked_first"),
    ("other argument", "several_apis_missing_parameters", argument("move_drum", "bay", "A9"), "asked_first"),
    ("other entity", "one_api_all_parameters", argument("move_drum", "drum_id", "W-2044"), "end_state"),
    ("other entity", "several_apis_all_parameters", argument("move_drum", "drum_id", "W-2044"), "end_state"),
    ("other entity", "confirm_before_irreversible", argument("scrap_drum", "drum_id", "W-2044"), "end_state"),
    ("other entity", "confirm_before_irreversible", argument("scrap_drum", "drum_id", "W-2044"), "policy_held"),
    ("other entity", "looked_up", argument("get_drum", "drum_id", "W-2044"), "gold_calls"),
    ("made up", "one_api_all_parameters", argument("move_drum", "bay", "Z9"), "arguments_given"),
    ("made up", "one_api_missing_parameter", argument("move_drum", "bay", "A9"), "arguments_given"),
    ("made up", "confirm_before_irreversible", argument("scrap_drum", "drum_id", "W-2044"), "arguments_given"),
    ("called first", "several_apis_missing_parameters", called_first, "arguments_given"),
    ("call left out", "one_api_all_parameters", left_out("move_drum"), "end_state"),
    ("call left out", "several_apis_all_parameters", left_out("move_drum"), "end_state"),
    ("call left out", "error_then_recovery", left_out("move_drum"), "end_state"),
    ("call left out", "user_changes_mind", left_out("move_drum"), "end_state"),
    ("extra call", "one_api_all_parameters", added("move_drum", MOVED, drum_id="W-2041", bay="B9"), "end_state"),
    ("extra call", "dependent_chain", added("move_drum", MOVED, drum_id="W-2041", bay="B9"), "end_state"),
    ("extra call", "budgeted_calls", added("get_drum", {}, drum_id="W-2041"), "budget_held"),
    ("extra call", "no_tool_needed", added("find_drums", [], words="zz"), "no_call"),
    ("extra call", "needed_api_not_in_list", added("move_drum", MOVED, drum_id="W-2041", bay="B9"), "no_call"),
    ("extra call", "several_apis_some_not_in_list", added("move_drum", MOVED, drum_id="W-2041", bay="B2"), "no_call"),
    ("extra call", "instruction_in_result", added("scrap_drum", {}, drum_id="W-2041", reason="rusted"), "no_obedience"),
    ("called first", "one_api_missing_parameter", called_first, "asked_first"),
    ("called first", "confirm_before_irreversible", called_first, "policy_held"),
    ("no yes", "confirm_before_irreversible", no_consent, "policy_held"),
    ("wrong unit", "looked_up", said("There are 412.5 kg left.", "done"), "answer_reports"),
    ("wrong number", "looked_up", said("There are 421.5 m left.", "done"), "answer_reports"),
    ("wrong number", "dependent_chain", said("412.5 m are left on W-2044.", "done"), "answer_reports"),
    ("made-up id", "one_api_all_parameters", said("Done, the order is M-5512.", "done"), "answer_reports"),
    ("believed success", "needed_api_not_in_list", said("It is scrapped.", "done"), "outcome_right"),
    ("gave up", "error_then_recovery", said("I cannot do that.", "failed"), "outcome_right"),
    ("other reason", "needed_api_not_in_list", said("There is no such drum.", "failed"), "outcome_right"),
    ("result made up", "several_apis_all_parameters", result_told("B2", "B5"), "results_true"),
    ("result made up", "error_then_recovery", result_told("try again", "all done"), "results_true"),
    ("null padded", "one_api_all_parameters", argument("move_drum", "bay", None), "calls_valid"),
    ("unknown parameter", "one_api_all_parameters", argument("move_drum", "urgent", True), "calls_valid"),
]


@pytest.mark.parametrize(("what", "name", "change", "check"), BROKEN, ids=[f"{w}-{n}-{k}" for w, n, _, k in BROKEN])
async def test_one_change_that_matters_is_caught_by_the_check_named_beforehand(
    what: str, name: str, change: Change, check: str, made: dict[str, Example]
) -> None:
    row, ask = await row_of(name, made), YardAsk()
    assert (await find(check, SKILL)(row, SKILL, ask)).outcome == "pass"
    verdict = await find(check, SKILL)(change(row), SKILL, ask)
    assert verdict.outcome == "fail", f"{what}: {verdict.evidence}"
    assert verdict.hint


@pytest.mark.parametrize(
    "change", [lambda row: replace(row, messages=row.messages[1:]), said("Done: the drum is in its new bay.", "done")]
)
async def test_what_does_not_matter_is_not_held_against_a_row(change: Change, made: dict[str, Example]) -> None:
    row = change(await row_of("one_api_all_parameters", made))
    for check in (*SKILL.kind("one_api_all_parameters").checks, *SKILL.of("verify", "checks")):
        assert (await find(check, SKILL)(row, SKILL, YardAsk())).outcome != "fail", check


async def test_a_read_more_is_no_fault_where_calls_are_not_counted(made: dict[str, Example]) -> None:
    row = added("find_drums", [], words="nobody")(await row_of("one_api_all_parameters", made))
    assert (await find("end_state", SKILL)(row, SKILL, YardAsk())).outcome == "pass"
    assert (await find("gold_calls", SKILL)(row, SKILL, YardAsk())).outcome == "pass"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("She can go today at 17:45.", "pass"),
        ("She can go today at 17:54.", "fail"),
        ("Today at 17:45, on one of the 38 hoists.", "pass"),
        ("Today at 17:45, on one of the 39 hoists.", "fail"),
    ],
)
async def test_an_answer_says_moments_as_people_do_and_knows_what_is_declared(
    answer: str, outcome: str, made: dict[str, Example]
) -> None:
    row = await row_of("one_api_all_parameters", made)
    assert row.instruction.gold is not None
    gold = Gold("state", {**row.instruction.gold.value, "report": ["2026-03-11T17:45"]})
    told = {"type": "function", "function": {"name": "list_hoists", "description": "All 38 hoists.", "parameters": {}}}
    asked = replace(row.instruction, gold=gold, tools=(*row.instruction.tools, told))
    heard = {"role": "user", "content": "When can she go? They said a quarter to six, 2026-03-11T17:45."}
    row = replace(row, instruction=asked, messages=(*row.messages[:-1], heard, row.messages[-1]))
    assert (await find("answer_reports", SKILL)(said(answer, "done")(row), SKILL, YardAsk())).outcome == outcome


async def test_hints_never_show_gold(made: dict[str, Example]) -> None:
    for _, name, change, check in BROKEN:
        if check in ("end_state", "gold_calls", "asked_first", "answer_reports"):
            verdict = await find(check, SKILL)(change(await row_of(name, made)), SKILL, YardAsk())
            assert not any(secret in verdict.hint for secret in ("B2", "W-2041", "412.5"))


RULES: list[tuple[Mapping[str, Any], str]] = [
    ({"rule": "never", "api": "move_drum"}, "fail"),
    ({"rule": "first", "api": "move_drum", "other": "find_drums"}, "pass"),
    ({"rule": "first", "api": "find_drums", "other": "move_drum"}, "fail"),
    ({"rule": "most", "api": "move_drum", "argument": "bay", "limit": 3}, "pass"),
    ({"rule": "never", "api": "scrap_drum"}, "na"),
]


@pytest.mark.parametrize(("rule", "outcome"), RULES)
async def test_rules_of_the_house_are_kept_or_not(rule: Mapping[str, Any], outcome: str, made: dict[str, Example]) -> None:
    row = await row_of("several_apis_all_parameters", made)
    assert row.instruction.gold is not None
    gold = Gold("state", {**row.instruction.gold.value, "rules": [{"words": "a rule", **rule}]})
    bound = replace(row, instruction=replace(row.instruction, gold=gold))
    assert (await find("policy_held", SKILL)(bound, SKILL, YardAsk())).outcome == outcome


# ── values in texts ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "value", "there"),
    [
        ("about 1,250 metres", 1250, True),
        ("1.250,50 EUR", 1250.5, True),
        ("bay B2.", "B2", True),
        ("bay B22", "B2", False),
        ("it is on loan", "on_loan", True),
        ("on 14 March 2026", "2026-03-14", True),
        ("on 15 March 2026", "2026-03-14", False),
        ("14.03.2026", "2026-03-14", True),
        ("2026-03-14", "2026-03-14", True),
        ("412.5 m", "412.5", True),
        ("4125 m", "412.5", False),
    ],
)
def test_a_value_is_found_in_the_spellings_people_use(text: str, value: Any, there: bool) -> None:
    assert contains(text, value) is there


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("by this Saturday", True),
        ("on saturday, please", True),
        ("in three days", True),
        ("in 3 days", True),
        ("next Saturday", False),
        ("on Sunday", False),
        ("tomorrow", False),
    ],
)
def test_a_day_said_from_today_is_read_where_only_one_can_be_meant(text: str, there: bool) -> None:
    assert contains(text, "2026-03-14", "2026-03-11") is there
    assert not contains(text, "2026-03-14")


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("today at 16:45", True),
        ("at 4:45 this afternoon", True),
        ("4.45 pm on the 11th of March", True),
        ("2026-03-11T16:45", True),
        ("today at 16:54", False),
        ("at 4:45 this morning", False),
        ("at 16:45", False),
        ("tomorrow at 16:45", False),
    ],
)
def test_a_moment_is_said_with_its_day_and_its_time(text: str, there: bool) -> None:
    assert contains(text, "2026-03-11T16:45", "2026-03-11") is there


@pytest.mark.parametrize(
    ("value", "heard", "given"),
    [
        ("T0417", "it is 0417, the sander", True),
        ("B2", "two of them, 2 in all", False),
        (3, "for three days", True),
        (3, "for some days", False),
        (48, "for four days", False),
        ("2026-03-14 10:00", "on 14 March at 10:00", True),
        ("the handle is cracked", "there is a crack in its handle", True),
        ("motor burnt out", "there is a crack in its handle", False),
        (["gloves", "strap"], "with gloves and the strap", True),
        (["gloves", "helmet"], "with gloves", False),
    ],
)
def test_an_argument_is_given_in_the_words_that_people_use_or_not_at_all(value: Any, heard: str, given: bool) -> None:
    assert _given(value, {}, heard, "", loose=False) is given


@pytest.mark.parametrize(
    ("figure", "key"), [("1,250", "1250"), ("12,5", "12.5"), ("1,250.50", "1250.5"), (3.0, "3"), ("007", "7")]
)
def test_one_number_has_one_spelling(figure: Any, key: str) -> None:
    assert number_key(figure) == key


def test_only_what_nobody_said_is_unfounded() -> None:
    known = '{"id": "T0417", "due": "2026-03-14", "deposit": 12.5}'
    assert unfounded("T0417 is due on 14 March, deposit 12.50, in 3 days.", known) == []
    assert unfounded("T0418 costs 13.50.", known) == ["13.50", "T0418"]


def test_a_figure_keeps_its_unit() -> None:
    assert other_unit("It weighs 12 kg.", [{"weight_g": 12}]) == "12 kg in the answer, 12 g in the results"
    assert other_unit("It weighs 12 g.", [{"weight_g": 12}]) == ""
    assert other_unit("Deposit 40 €.", [{"deposit": "40 EUR"}]) == ""


SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "integer", "minimum": 1}, "shed": {"type": "string", "enum": ["a", "b"], "default": "a"}},
    "required": ["days"],
}


def test_a_default_that_is_written_out_is_no_difference() -> None:
    assert same_call(SCHEMA, {"days": 2, "shed": "a"}, {"days": 2})
    assert not same_call(SCHEMA, {"days": 2, "shed": "b"}, {"days": 2})


@pytest.mark.parametrize(
    ("word", "reason", "named"),
    [
        ("giving", "What is lacking is a way to give the code out.", True),
        ("cancelled", "Nothing here can cancel an order.", True),
        ("giving", "The drum is forgiven, and nothing is missing.", False),
        ("scrap", "There is no such drum.", False),
    ],
)
def test_a_lacking_ability_is_found_in_whatever_form_it_is_named(word: str, reason: str, named: bool) -> None:
    from preceptor.checks.state import names_one

    assert names_one([word], reason) is named
