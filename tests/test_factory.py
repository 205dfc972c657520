"""A recipe from one end to the other: runs, resuming, forking, adding, rechecking, reviewing, and a domain of one's own."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.makings import REFINE, SMALL, TEXT, pack, template, trial
from preceptor import beside, factory
from preceptor.engine.store import Store
from preceptor.errors import BudgetSpent, ChangedRun, EndpointError, RecipeError
from preceptor.models.scripted import Line, ScriptedModel, prompt_of
from preceptor.recipe import Recipe, load_recipe, ready, recipe_of
from preceptor.types import Completion, Document, Request

TIDES = "mine/golden/documents/tides.md"
COUNT = {"question": "How many berths are kept free?", "answer": "seventeen"}
ANSWER = {"answer": "Seventeen berths.", "final": "seventeen"}
SAYS = {"*/count": COUNT, "*/answer": ANSWER}


def asks_by_kind(request: Request) -> dict[str, str]:
    """Another question for each kind: the same one would be dropped as asked already."""
    return {**COUNT, "question": f"How many {request.slots['kind'].name}?"}


PLACES = ("harbour", "mountain", "library", "bakery", "reservoir", "theatre", "orchard", "observatory", "ferry", "quarry")


def story(number: int) -> str:
    """A document that is like no other."""
    place, year = PLACES[number % len(PLACES)], 1700 + 13 * number
    return (
        f"The {place} of village number {number} was opened in {year} by {place.title()} Brothers and {number + 3} helpers. "
        f"It had {number + 11} doors, {2 * number + 5} lamps and a bell that rang {number % 7 + 2} times each evening. "
        f"In {year + 40} a storm of {number + 60} hours took its roof, and the {place} stood open until {year + 52}. "
    ) * 2


def stories(folder: Path, numbers: Any, where: str = "notes") -> None:
    (folder / where).mkdir(exist_ok=True)
    for number in numbers:
        (folder / where / f"{number:03}.md").write_text(f"# Village {number}\n\n{story(number)}\n")


def recipe(folder: Path, **other: Any) -> Recipe:
    return recipe_of({"documents": ["notes/*.md"], "skills": ["small"], "seed": 1, **other}, folder)


def made(plan: Recipe, into: Path, model: Any = None, **settings: Any) -> factory.Run:
    teacher = model if model is not None else ScriptedModel(SAYS)
    return factory.run(plan, into, models={"teacher": teacher}, signals=False, **settings)


def nodes(folder: Path) -> dict[tuple[str, str], str]:
    """Every stored node, to the letter."""
    store = Store(folder)
    try:
        return {
            (item, key): body + status for item, key, status, body in store.rows("SELECT item, key, status, body FROM nodes")
        }
    finally:
        store.close()


def rows(run: factory.Run) -> list[tuple[str, str]]:
    return [(e.id, e.answer) for e in run.examples()]


# ── running and resuming ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_run_started_again_pays_for_nothing(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(5))
    first, again = ScriptedModel(SAYS), ScriptedModel(SAYS)
    run = made(recipe(tmp_path), tmp_path / "run", first)
    before = nodes(tmp_path / "run")
    assert len(first.requests) == 10
    assert len(run.examples()) == 5
    assert run.report["law"]["holds"]
    made(recipe(tmp_path), tmp_path / "run", again)
    assert again.requests == []
    assert nodes(tmp_path / "run") == before


@pytest.mark.parametrize("last", [1, 4, 7, 9])
def test_an_interrupted_run_pays_for_nothing_twice(last: int, tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(5))
    whole = made(recipe(tmp_path), tmp_path / "whole")

    def until(request: Request) -> Any:
        if len(dying.requests) > last:
            return EndpointError("gone")
        return COUNT if request.agent.endswith("count") else ANSWER

    dying, second = ScriptedModel(until), ScriptedModel(SAYS)
    with pytest.raises(EndpointError):
        made(recipe(tmp_path), tmp_path / "run", dying)
    run = made(recipe(tmp_path), tmp_path / "run", second)
    assert rows(run) == rows(whole)
    assert run.report["calls"]["calls"] == 10
    assert len(second.requests) == 10 - last


def test_the_same_recipe_gives_the_same_rows_in_another_folder_and_another_seed_does_not(tmp_path: Path) -> None:
    kinds = "".join(f'[[kind]]\nname = "k{n}"\nagent = "count"\nchecks = ["gold_text"]\n' for n in range(9))
    pack(tmp_path, {"2_instruct/taxonomy.toml": kinds})
    stories(tmp_path, range(6))
    one, two = made(recipe(tmp_path), tmp_path / "one"), made(recipe(tmp_path), tmp_path / "two")
    other = made(recipe(tmp_path, seed=2), tmp_path / "other")
    assert rows(one) == rows(two)
    assert [e.instruction.kind for e in one.examples()] != [e.instruction.kind for e in other.examples()]


def test_each_pass_takes_every_document_with_other_draws(tmp_path: Path) -> None:
    kinds = "".join(f'[[kind]]\nname = "k{n}"\nagent = "count"\nchecks = ["gold_text"]\n' for n in range(9))
    pack(tmp_path, {"2_instruct/taxonomy.toml": kinds})
    stories(tmp_path, range(3))
    run = made(recipe(tmp_path, passes=3), tmp_path / "run")
    assert run.report["law"]["items"]["finished"] == 9
    assert len({e.instruction.kind for e in run.examples()}) > 2


# ── a changed recipe ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"brief": "For nurses."}, ["recipe.brief"]),
        ({"seed": 2, "language": "de"}, ["recipe.language", "recipe.seed"]),
        ({"skills": {"small": {"respond": {"answers": 3}}}}, ["recipe.skills"]),
        ({"teacher": {"url": "http://x/v1", "model": "b"}}, ["recipe.teacher"]),
    ],
)
def test_a_changed_recipe_is_refused_with_the_list_of_changes(change: dict[str, Any], named: list[str], tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(2))
    plain = {"teacher": {"url": "http://x/v1", "model": "a"}}
    made(recipe(tmp_path, **plain), tmp_path / "run")
    model = ScriptedModel(SAYS)
    with pytest.raises(ChangedRun) as refused:
        made(recipe(tmp_path, **{**plain, **change}), tmp_path / "run", model)
    assert f"Changed since: {', '.join(named)}." in str(refused.value)
    assert f"--fork {tmp_path / 'run'}" in str(refused.value)
    assert (refused.value.exit_code, model.requests) == (6, [])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other", "limits": {"in_flight": 3}},
        {"teacher": {"url": "http://elsewhere/v1", "model": "a", "key_env": "K"}},
        {"into": "somewhere"},
    ],
)
def test_addresses_names_and_speed_may_change(change: dict[str, Any], tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(2))
    plain = {"teacher": {"url": "http://x/v1", "model": "a"}}
    made(recipe(tmp_path, **plain), tmp_path / "run")
    model = ScriptedModel(SAYS)
    made(recipe(tmp_path, **{**plain, **change}), tmp_path / "run", model)
    assert model.requests == []


def test_a_pack_that_was_edited_under_a_run_is_named(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(2))
    made(recipe(tmp_path), tmp_path / "run")
    pack(tmp_path, {"4_respond/answer.md": SMALL["4_respond/answer.md"].replace("Answer.", "Answer briefly.")})
    with pytest.raises(ChangedRun, match=r"Changed since: skill small\."):
        made(recipe(tmp_path), tmp_path / "run")


def test_a_fork_pays_again_only_for_what_the_change_reaches(tmp_path: Path) -> None:
    """The pack extends another; one agent of it is edited, and only that agent and what follows is asked again."""
    template(tmp_path, "base")
    over = {
        "skill.toml": 'title = "Over"\nextends = "../base"\n[transform]\npick = 1\n[instruct]\npick = 2\n',
        "4_respond/answer.md": (tmp_path / "base/4_respond/answer.md").read_text(),
    }
    pack(tmp_path, name="mine", base=over)
    plan = recipe(tmp_path, documents=["base/golden/documents/tides.md"], skills=["mine"])
    first = trial(tmp_path / "base")
    made(plan, tmp_path / "run", first)
    whole = Counter(r.agent for r in first.requests)
    assert whole.total() >= 8

    answer = tmp_path / "mine/4_respond/answer.md"
    answer.write_text(answer.read_text().replace("one or two sentences", "one sentence"))
    second = trial(tmp_path / "base")
    with pytest.raises(ChangedRun, match="skill mine"):
        made(plan, tmp_path / "run", second)
    fork = made(plan, tmp_path / "forked", second, fork_from=tmp_path / "run")
    paid = Counter(r.agent for r in second.requests)
    assert set(paid) == {"mine/4_respond/answer"}
    assert paid == Counter({"mine/4_respond/answer": whole["mine/4_respond/answer"]})
    assert len(fork.examples()) >= 3
    assert fork.report["law"]["holds"]
    assert fork.report["calls"]["calls"] == paid.total()

    third = trial(tmp_path / "base")
    made(plan, tmp_path / "forked", third)
    assert third.requests == []


def test_a_fork_of_an_unchanged_run_costs_nothing(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(3))
    whole = made(recipe(tmp_path), tmp_path / "run")
    model = ScriptedModel(SAYS)
    again = made(recipe(tmp_path), tmp_path / "again", model, fork_from=tmp_path / "run")
    assert model.requests == []
    assert rows(again) == rows(whole)


# ── more documents ───────────────────────────────────────────────────────────────────────────────────────────────


def test_added_documents_leave_what_is_stored_as_it_is_to_the_letter(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, (5, 6, 7))
    made(recipe(tmp_path), tmp_path / "run")
    before = nodes(tmp_path / "run")
    stories(tmp_path, range(4), "more")
    model = ScriptedModel(SAYS)
    grown = recipe(tmp_path, documents=["more/*.md", "notes/*.md"])
    with pytest.raises(ChangedRun, match="--add"):
        made(grown, tmp_path / "run", model)
    run = made(grown, tmp_path / "run", model, add=True)
    after = nodes(tmp_path / "run")
    assert len(model.requests) == 8
    assert len(run.examples()) == 7
    assert {k: after[k] for k in before} == before
    made(grown, tmp_path / "run", (quiet := ScriptedModel(SAYS)))
    assert quiet.requests == []


def test_added_documents_that_the_run_has_already_are_left_out(tmp_path: Path) -> None:
    """New files come first in the alphabet; all the same it is the new one that is the duplicate."""
    pack(tmp_path)
    stories(tmp_path, (5, 6, 7))
    made(recipe(tmp_path), tmp_path / "run")
    before = nodes(tmp_path / "run")
    (tmp_path / "more").mkdir()
    (tmp_path / "more/copy.md").write_text((tmp_path / "notes/005.md").read_text())
    (tmp_path / "more/near.md").write_text((tmp_path / "notes/006.md").read_text().replace("storm", "gale", 1))
    stories(tmp_path, (8,), "more")
    model, said = ScriptedModel(SAYS), []
    grown = recipe(tmp_path, documents=["more/*.md", "notes/*.md"])
    run = made(grown, tmp_path / "run", model, add=True, notice=said.append)
    assert len(model.requests) == 2
    assert len(run.examples()) == 4
    assert {k: v for k, v in nodes(tmp_path / "run").items() if k in before} == before
    assert any("more/copy.md" in line and "005.md" in line for line in said)


def test_add_is_no_way_around_another_change(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(2))
    made(recipe(tmp_path), tmp_path / "run")
    stories(tmp_path, range(3, 5), "more")
    with pytest.raises(ChangedRun, match=r"recipe\.brief"):
        made(recipe(tmp_path, brief="x", documents=["notes/*.md", "more/*.md"]), tmp_path / "run", add=True)


# ── recheck ──────────────────────────────────────────────────────────────────────────────────────────────────────

STRICT = """
    from preceptor.checks.base import check, failed, passed

    @check(decides=True, version={version}, sees="length", blind="truth")
    async def short_enough(example, skill, ask):
        return passed() if len(example.answer) < {most} else failed("too long")

    CHECKS = (short_enough,)
"""
WITH_STRICT = {"2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nchecks = ["gold_text", "short_enough"]\n'}


def test_recheck_applies_new_checks_and_keeps_the_older_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path, WITH_STRICT, {"skill.py": STRICT.format(version=1, most=100)})
    stories(tmp_path, range(3))
    run = made(recipe(tmp_path, teacher="local"), tmp_path / "run")
    ids = [e.id for e in run.examples()]
    assert len(ids) == 3
    pack(tmp_path, WITH_STRICT, {"skill.py": STRICT.format(version=2, most=5)})
    model = ScriptedModel(())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # the run knows where its recipe was
    found = beside.recheck(tmp_path / "run", models={"teacher": model})
    assert (found.rows, model.requests) == (3, [])
    assert sorted(found.changed) == sorted((i, "accepted", "rejected") for i in ids)
    assert [e.id for e in factory.Run(tmp_path / "run").examples("rejected")] == ids
    store = Store(tmp_path / "run")
    try:
        (row, *_) = store.examples("rejected")
        history = [(g, v.check, v.version, v.outcome) for g, _, v in store.verdicts(row.item, row.key)]
        assert store.law()["holds"]
    finally:
        store.close()
    assert history == [
        (0, "gold_text", history[0][2], "pass"),
        (0, "short_enough", 1, "pass"),
        (1, "gold_text", history[0][2], "pass"),
        (1, "short_enough", 2, "fail"),
    ]
    pack(tmp_path, WITH_STRICT, {"skill.py": STRICT.format(version=3, most=100)})
    back = beside.recheck(tmp_path / "run", models={"teacher": model})
    assert {(a, b) for _, a, b in back.changed} == {("rejected", "accepted")}


# ── people look first ────────────────────────────────────────────────────────────────────────────────────────────


def test_people_see_questions_before_answers_are_paid_for(tmp_path: Path) -> None:
    pack(tmp_path, REFINE, {"skill.toml": SMALL["skill.toml"].replace("share = 0.0", "share = 1.0")})
    stories(tmp_path, range(3))
    plan = recipe(tmp_path, pause_after="refine")
    asked = {**SAYS, "*/suggester": {"suggestions": ["harder"]}, "*/editor": {"question": "Harder?", "answer": "seventeen"}}
    first = ScriptedModel(asked)
    run = made(plan, tmp_path / "run", first)
    assert not [r for r in first.requests if r.agent.endswith("answer")]
    assert run.examples() == []
    assert run.report["law"]["items"]["pending"] == 3
    file = tmp_path / "run/review.jsonl"
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert len(lines) == 6
    assert {line["decision"] for line in lines} == {""}
    assert {"id", "kind", "text", "gold", "passage", "goal"} <= set(lines[0])

    decisions = {}
    for line in lines:
        if line["goal"]:
            line |= {"decision": "decline", "reason": "nobody asks that"}
        elif "number 1 " in line["passage"]:
            line |= {"decision": "edit", "text": "How many berths, please?"}
        else:
            line |= {"decision": "keep"}
        decisions[line["id"]] = line["decision"]
    file.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    second = ScriptedModel(asked)
    run = made(plan, tmp_path / "run", second)
    assert Counter(r.agent.rpartition("/")[2] for r in second.requests) == {"answer": 3}
    assert sorted(e.instruction.text for e in run.examples()) == [
        COUNT["question"],
        COUNT["question"],
        "How many berths, please?",
    ]
    drops = run.report["drops"]
    assert [(d["step"], d["reason"], d["count"]) for d in drops] == [("review", "nobody asks that", 3)]
    assert run.report["law"]["holds"]
    third = ScriptedModel(asked)
    made(plan, tmp_path / "run", third)
    assert third.requests == []


def test_a_decision_that_does_not_exist_is_said(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(1))
    plan = recipe(tmp_path, pause_after="refine")
    made(plan, tmp_path / "run")
    file = tmp_path / "run/review.jsonl"
    file.write_bytes(orjson.dumps({**orjson.loads(file.read_bytes()), "decision": "maybe"}))
    with pytest.raises(RecipeError, match="decision 'maybe'; there are: keep, edit, decline"):
        made(plan, tmp_path / "run")


# ── instructions that exist already ──────────────────────────────────────────────────────────────────────────────


KEYED = (("a", "credited"), ("b", ""), ("c", ""))


def given(folder: Path, *lines: Any) -> Recipe:
    (folder / "asked.jsonl").write_text(
        "\n".join(line if isinstance(line, str) else orjson.dumps(line).decode() for line in lines)
    )
    return recipe_of({"skills": ["small"], "start": "respond", "instructions": "asked.jsonl"}, folder)


def test_instructions_that_exist_already_are_only_answered(tmp_path: Path) -> None:
    pack(tmp_path)
    plan = given(
        tmp_path,
        {"instruction": "How many berths?", "passage": TEXT, "answer": "seventeen"},
        {"question": "Which one?", "options": [{"text": t, "role": r} for t, r in KEYED], "passage": TEXT},
        {"instruction": "Name them.", "answers": ["seventeen"], "language": "en"},
    )
    model = ScriptedModel([Line("*/answer", "Which one?", fields={"answer": "The second.", "final": "B"}), *[ANSWER] * 2])
    run = made(plan, tmp_path / "run", model)
    assert {r.agent for r in model.requests} == {"small/4_respond/answer"}
    assert len(model.requests) == 3
    shapes = {e.instruction.shape: e for s in ("accepted", "rejected") for e in run.examples(s)}
    assert set(shapes) == {"short", "multiple_choice", "set"}
    assert shapes["short"].status == "accepted"
    assert TEXT in shapes["short"].messages[0]["content"]
    assert shapes["multiple_choice"].status == "rejected"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"instruction": "x"', "line 1: not JSON"),
        ('{"answer": "x"}', "needs `instruction`"),
        ('{"instruction": "x", "anwser": "y"}', "unknown key 'anwser'"),
        ('["x"]', "line 1: not a JSON object"),
        ("", "holds no instruction"),
    ],
)
def test_instructions_that_cannot_be_read_are_the_users_to_mend(line: str, says: str, tmp_path: Path) -> None:
    pack(tmp_path)
    with pytest.raises(RecipeError) as refused:
        made(given(tmp_path, line), tmp_path / "run")
    assert says in str(refused.value)
    assert "asked.jsonl" in str(refused.value)


# ── a domain of one's own ────────────────────────────────────────────────────────────────────────────────────────


def test_brief_language_domain_and_examples_reach_every_prompt(tmp_path: Path) -> None:
    template(tmp_path)
    (tmp_path / "ours.jsonl").write_text("\n".join(f'{{"q": "ours-{n}"}}' for n in range(6)))
    plan = recipe(
        tmp_path,
        documents=[TIDES],
        skills=["mine"],
        brief="For pilots who are new here.",
        language="de",
        domain="harbour pilotage",
        examples="ours.jsonl",
    )
    model = trial(tmp_path / "mine")
    made(plan, tmp_path / "run", model)
    assert {r.agent.rpartition("/")[2] for r in model.requests} > {"suggester", "editor", "answer"}
    for request in model.requests:
        said = prompt_of(request)
        for words in (
            "For pilots who are new here.",
            "in German",
            "The field is harbour pilotage.",
            *(f"ours-{n}" for n in range(6)),
        ):
            assert words in said, (request.agent, words)


@pytest.mark.parametrize("rows", [0, 4, 51])
def test_five_to_fifty_examples_are_asked_for(rows: int, tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(1))
    (tmp_path / "ours.jsonl").write_text("\n".join('{"q": 1}' for _ in range(rows)))
    with pytest.raises(RecipeError, match=f"{rows} rows; 5 to 50"):
        made(recipe(tmp_path, examples="ours.jsonl"), tmp_path / "run")


def test_a_pack_laid_over_another_replaces_single_agents_and_adds_and_removes_kinds(tmp_path: Path) -> None:
    pack(
        tmp_path, {"2_instruct/taxonomy.toml": SMALL["2_instruct/taxonomy.toml"] + '[[kind]]\nname = "gone"\nagent = "count"\n'}
    )
    over = {
        "skill.toml": 'title = "Mine"\nextends = "../small"\n[remove]\nkinds = ["gone"]\n[instruct]\npick = 5\n',
        "2_instruct/taxonomy.toml": '[[kind]]\nname = "mine"\nagent = "count"\nchecks = ["gold_text"]\n',
        "4_respond/answer.md": SMALL["4_respond/answer.md"].replace("Answer.", "Answer as a pilot would."),
    }
    pack(tmp_path, name="over", base=over)
    stories(tmp_path, range(1))
    model = ScriptedModel({**SAYS, "*/count": asks_by_kind})
    run = made(recipe(tmp_path, skills=["over"]), tmp_path / "run", model)
    assert {e.instruction.kind for e in run.examples()} == {"count", "mine"}
    assert {r.agent for r in model.requests} == {"small/2_instruct/count", "over/4_respond/answer"}
    assert all("as a pilot would" in prompt_of(r) for r in model.requests if r.agent.endswith("answer"))


def test_an_agent_may_have_a_model_of_its_own_by_name_or_glob(tmp_path: Path) -> None:
    template(tmp_path)
    script = (tmp_path / "mine/trial.jsonl").read_text()
    for name in ("teacher", "editor", "figure"):
        (tmp_path / f"{name}.jsonl").write_text(script)
    table = {
        "teacher": "scripted:teacher.jsonl",
        "models": {"editor": "scripted:editor.jsonl", "figure": "scripted:figure.jsonl"},
        "agents": {"*/3_refine/*": "editor", "mine/2_instruct/stated_figure": "figure"},
    }
    run = factory.run(recipe(tmp_path, documents=[TIDES], skills=["mine"], **table), tmp_path / "run", signals=False)
    by = {(a["agent"].removeprefix("mine/"), a["model"]) for a in run.report["agents"]}
    assert {pair for pair in by if not pair[0].startswith("1_transform/")} == {
        ("2_instruct/stated_figure", "scripted:figure.jsonl"),
        ("2_instruct/yes_or_no", "scripted:teacher.jsonl"),
        ("3_refine/suggester", "scripted:editor.jsonl"),
        ("3_refine/editor", "scripted:editor.jsonl"),
        ("4_respond/answer", "scripted:teacher.jsonl"),
    }


@pytest.mark.parametrize(
    ("agents", "says"),
    [
        ({"*/3_refine/*": "editr"}, "names the model 'editr'; did you mean 'editor'?"),
        ({"mine/4_respond/anwser": "editor"}, "fits no agent; did you mean 'mine/4_respond/answer'?"),
    ],
)
def test_a_model_or_agent_that_does_not_exist_is_said(agents: dict[str, str], says: str, tmp_path: Path) -> None:
    template(tmp_path)
    (tmp_path / "t.jsonl").write_text("")
    plan = recipe(
        tmp_path,
        documents=[TIDES],
        skills=["mine"],
        teacher="scripted:t.jsonl",
        models={"editor": "scripted:t.jsonl"},
        agents=agents,
    )
    with pytest.raises(RecipeError) as refused:
        factory.run(plan, tmp_path / "run", signals=False)
    assert says in str(refused.value)


def test_without_a_teacher_a_run_asks_for_one_and_never_falls_to_the_embedded_model(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(1))
    with pytest.raises(RecipeError, match="names no teacher"):
        factory.run(recipe(tmp_path), tmp_path / "run", signals=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"skills": []}, "names no skill"),
        ({"documents": []}, "names no documents"),
        ({"start": "respond"}, "needs instructions"),
    ],
)
def test_a_recipe_that_cannot_start_says_what_to_add(table: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        ready(recipe(tmp_path, teacher="local", **table))


def test_routes_and_globs_say_which_documents_become_what(tmp_path: Path) -> None:
    two = SMALL["2_instruct/taxonomy.toml"] + '[[kind]]\nname = "other"\nagent = "count"\nchecks = ["gold_text"]\n'
    pack(tmp_path, {"2_instruct/taxonomy.toml": two})
    stories(tmp_path, range(6))
    choice = {"documents": ["*00[0-3].md"], "routes": [{"documents": ["*001.md", "*002.md"], "kinds": ["other"]}]}
    plan = recipe(tmp_path, skills={"small": {**choice, "instruct": {"pick": 2}}})
    run = made(plan, tmp_path / "run", ScriptedModel({**SAYS, "*/count": asks_by_kind}))
    kinds: dict[str, set[str]] = {}
    for example in run.examples():
        kinds.setdefault(example.instruction.material.document.source[-6:], set()).add(example.instruction.kind)
    assert kinds == {"000.md": {"count", "other"}, "001.md": {"other"}, "002.md": {"other"}, "003.md": {"count", "other"}}


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────

USES = {
    "skill.py": """
        from preceptor.errors import ToolError
        from preceptor.types import Dropped

        async def instruct(material, skill, ask):
            try:
                return [Dropped(material, "instruct", str(await ask.use("calculator", expression="6*7")))]
            except ToolError as error:
                return [Dropped(material, "instruct", f"refused: {error}")]
    """
}


def test_a_tool_that_a_pack_does_not_declare_is_refused(tmp_path: Path) -> None:
    stories(tmp_path, range(1))
    declared = {"skill.toml": SMALL["skill.toml"].replace("rounds = 0", 'rounds = 0\n        tools = ["calculator"]')}
    reasons = []
    for name, layers in (("bare", ()), ("with", (declared,))):
        pack(tmp_path, USES, *layers, name=name)
        run = made(recipe(tmp_path, skills=[name]), tmp_path / f"run-{name}", ScriptedModel(()))
        reasons.append(run.report["drops"][0]["reason"])
    assert reasons[0].startswith("refused: tool 'calculator' is")
    assert "declares its tools in skill.toml" in reasons[0]
    assert "42" in reasons[1]


def test_what_one_skill_declares_another_may_not_use(tmp_path: Path) -> None:
    stories(tmp_path, range(1))
    declared = {"skill.toml": SMALL["skill.toml"].replace("rounds = 0", 'rounds = 0\n        tools = ["calculator"]')}
    pack(tmp_path, USES, name="bare")
    pack(tmp_path, USES, declared, name="with")
    run = made(recipe(tmp_path, skills=["bare", "with"]), tmp_path / "run", ScriptedModel(()))
    reasons = {d["skill"]: d["reason"] for d in run.report["drops"]}
    assert "not declared by this skill" in reasons["bare"]
    assert "42" in reasons["with"]


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cap_is_never_passed_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(30))
    priced = {"teacher": {"url": "http://x/v1", "model": "scripted", "price": {"input": 10.0, "output": 30.0}}}

    class Slow(ScriptedModel):
        async def complete(self, request: Request) -> Completion:
            import asyncio

            await asyncio.sleep(0.002)
            return await super().complete(request)

    cap = 0.30
    first = Slow(SAYS)
    with pytest.raises(BudgetSpent) as spent:
        made(recipe(tmp_path, **priced, limits={"cost": cap}), tmp_path / "run", first)
    assert spent.value.exit_code == 4
    run = factory.Run(tmp_path / "run")
    assert 0 < len(first.requests) < 60
    assert 0 < run.report["spent"]["settled"] + run.report["spent"]["charged"] <= cap
    second = Slow(SAYS)
    run = made(recipe(tmp_path, **priced, limits={"cost": 50.0}), tmp_path / "run", second)
    assert len(first.requests) + len(second.requests) == 60
    assert len(run.examples()) == 30


def test_a_cap_without_a_price_is_refused_before_the_first_call(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(1))
    model = ScriptedModel(SAYS, name="dear")
    with pytest.raises(RecipeError, match="needs a price for every model; none for: dear"):
        made(recipe(tmp_path, limits={"cost": 1.0}), tmp_path / "run", model)
    assert model.requests == []


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────


class Refusing(BaseHTTPRequestHandler):
    """An endpoint that knows no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        told = b'{"error": {"message": "invalid api key"}}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_keys_that_are_refused_end_the_run_with_5_and_show_no_key(
    refusing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    pack(tmp_path)
    stories(tmp_path, range(3))
    models = {name: {"url": refusing, "model": name, "key_env": "SOME_KEY"} for name in ("one", "two")}
    plan = recipe(tmp_path, teacher=models["one"], models={"two": models["two"]}, agents={"*/count": "two"})
    with pytest.raises(EndpointError) as refused:
        factory.run(plan, tmp_path / "run", signals=False)
    assert refused.value.exit_code == 5
    assert "refuses the key for two" in str(refused.value)
    assert "`SOME_KEY`" in str(refused.value)
    assert "sk-very-secret" not in str(refused.value)
    for file in (tmp_path / "run").iterdir():
        assert b"sk-very-secret" not in file.read_bytes()
    assert factory.Run(tmp_path / "run").report["law"]["holds"]


# ── the law, seen from outside ───────────────────────────────────────────────────────────────────────────────────

WATCH = """
import json, random, sys, time
from pathlib import Path
from preceptor.engine.store import Store
from preceptor.errors import UserError
dice, seen, until = random.Random(3), [], time.monotonic() + 60
while not Path(sys.argv[1], "run.db").exists() and time.monotonic() < until: time.sleep(0.005)
while not Path(sys.argv[2]).exists() and time.monotonic() < until:
    try:
        store = Store(Path(sys.argv[1]))
    except UserError:  # only just beginning
        continue
    law = store.law()
    store.close()
    seen.append((law["holds"], law["items"]["planned"], law["items"]["pending"], law["examples"]["made"]))
    time.sleep(dice.uniform(0, 0.02))
print(json.dumps(seen))
"""


def test_at_any_instant_the_law_adds_up_for_another_process(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(60))
    watcher = subprocess.Popen([sys.executable, "-c", WATCH, tmp_path / "run", tmp_path / "done"], stdout=subprocess.PIPE)
    try:

        class Slow(ScriptedModel):
            async def complete(self, request: Request) -> Completion:
                import asyncio

                await asyncio.sleep(0.05)
                return await super().complete(request)

        made(recipe(tmp_path, limits={"in_flight": 4}), tmp_path / "run", Slow(SAYS))
        time.sleep(0.1)
        (tmp_path / "done").touch()
        seen = orjson.loads(watcher.communicate(timeout=60)[0])
    finally:
        watcher.kill()
        watcher.wait()
    assert len(seen) > 10
    assert all(holds for holds, *_ in seen)
    assert len({made for *_, made in seen}) > 5, "the law was never counted while the run was going on"
    assert seen[-1] == [True, 60, 0, 60]


def test_a_recipe_file_is_read_with_paths_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template(tmp_path)
    (tmp_path / "recipe.toml").write_text(
        f'documents = ["{TIDES}"]\nskills = ["mine"]\nteacher = "scripted:mine/trial.jsonl"\n'
    )
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    run = factory.run(load_recipe(tmp_path / "recipe.toml"), signals=False)
    assert run.folder == tmp_path / "runs/run"
    assert len(run.examples()) == 3


def test_one_document_tried_shows_all_that_was_asked_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    template(tmp_path)
    tried = beside.try_one(
        "mine", Path(TIDES), model="scripted:mine/trial.jsonl", kinds=["yes_or_no"], transformers=["identity"]
    )
    assert [e.instruction.kind for e in tried.produced.examples] == ["yes_or_no"]
    assert [call["agent"] for call in tried.calls] == ["mine/2_instruct/yes_or_no", "mine/4_respond/answer"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"]


def test_a_line_that_was_never_scripted_names_its_agent(tmp_path: Path) -> None:
    pack(tmp_path)
    stories(tmp_path, range(1))
    with pytest.raises(EndpointError, match=r"no scripted reply for agent 'small/4_respond/answer'"):
        made(recipe(tmp_path), tmp_path / "run", ScriptedModel([Line(agent="*/count", fields=COUNT)]))


def test_documents_of_the_caller_are_made_as_their_turn_comes_and_a_second_pass_takes_them_again(tmp_path: Path) -> None:
    pack(tmp_path)
    plan = recipe_of({"skills": ["small"], "passes": 2, "limits": {"in_flight": 1, "ahead": 1}}, tmp_path)
    drawn, seen = list[int](), list[int]()

    class Told:
        def __iter__(self) -> Iterator[Document]:
            for n in range(200):
                drawn.append(n)
                yield Document(f"d{n}", story(n), f"{n}.md")

    def asked(request: Request) -> dict[str, str]:
        seen.append(len(drawn))
        return {**COUNT, **ANSWER}

    run = made(plan, tmp_path / "run", ScriptedModel(asked), documents=Told())
    assert run.ended is not None
    assert run.ended.progress.items["pending"] == 0
    assert len(drawn) == 400
    assert seen[0] < 200, "all documents were made before the first was asked about"
    assert [e.id for e in run.each()] == [e.id for e in run.examples()]
