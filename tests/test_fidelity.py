"""A trial of the prompts, from the draw to the table: made blind, judged blind, counted right."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.makings import template
from preceptor.errors import UserError
from preceptor.fidelity import Trial, drawn, trial
from preceptor.models.scripted import ScriptedModel
from preceptor.types import Request

PLACES = ("harbour", "library", "orchard", "theatre", "quarry")
GOLD = "zq-gold"
ASKED = {"question": "What is asked here of the visitors?", "evidence": ["rang twice each evening"]}


def documents(folder: Path) -> list[str]:
    (folder / "notes").mkdir()
    for number, place in enumerate(PLACES):
        text = f"The {place} of number {number} was opened in {1800 + number} and its bell rang twice each evening. "
        (folder / f"notes/{place}.md").write_text(
            f"# The {place}\n\n{text}It had {number + 20} doors and {place} lamps of its own.\n"
        )
    return [str(folder / "notes/*.md")]


def maker(request: Request) -> Any:
    """Whoever makes the rows: answers well, and has not seen the taxonomy."""
    match request.agent.rpartition("/")[2]:
        case "notice":
            return {
                "text": "A NOTICE to all: the bell rang twice each evening, and no more, in this place and in no other one."
            }
        case "stated_figure":
            return {**ASKED, "answer": GOLD}
        case "yes_or_no":
            return {**ASKED, "answer": "no"}
        case "suggester":
            return {"suggestions": [], "decline": "it is hard enough"}
    told = str(request.messages[-1]["content"])
    return {"answer": "It is so, by what is said.", "final": "no" if "one of yes, no" in told else GOLD}


def judge(request: Request) -> Any:
    """Whoever judges: takes every text for a notice, every task for a figure, and finds the harbour unfit."""
    told = str(request.messages[-1]["content"])
    match request.agent:
        case "fidelity/genre":
            return {"reason": "it is headed so", "genre": "notice"}
        case "fidelity/solve":
            return {"thinking": "…", "answerable": True, "final": "twice", "kind": "stated_figure"}
    fit = "harbour" not in told
    return {"reason": "as said", "agree": True, "faults": [] if fit else ["dull"], "fit": fit}


def answer(folder: Path, says: Any, asked: list[dict[str, Any]]) -> None:
    """Every request of the batch folder that has no reply yet is answered."""
    done = {orjson.loads(line)["custom_id"] for f in folder.glob("replies*.jsonl") for line in f.read_bytes().splitlines()}
    model, lines = ScriptedModel(says), []
    for file in sorted(folder.glob("requests-*.jsonl")):
        for row in map(orjson.loads, file.read_bytes().splitlines()):
            if row["custom_id"] not in done:
                asked.append(row)
                request = Request(row["body"]["metadata"]["agent"], tuple(row["body"]["messages"]))
                lines.append({"custom_id": row["custom_id"], "content": asyncio.run(model.complete(request)).content})
    (folder / f"replies-{len(done)}.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def whole(folder: Path, *arguments: Any) -> tuple[Trial, list[dict[str, Any]], list[dict[str, Any]]]:
    """The trial with everything answered, and what was asked of makers and of judges."""
    made: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []
    stands = trial(folder, *arguments)
    for _ in range(20):
        if not any(stands.waiting.values()):
            break
        answer(folder / "making", maker, made)
        if (folder / "judging").exists():
            answer(folder / "judging", judge, judged)
        stands = trial(folder, 0, 0, [], [])
    return stands, made, judged


def test_draws_are_stable_and_a_seed_draws_others(tmp_path: Path) -> None:
    skills, paths = [str(template(tmp_path))], documents(tmp_path)
    one = drawn(2, 7, paths, skills)
    assert one == drawn(2, 7, paths, skills)
    assert len(one["slots"]) == 6
    assert {s["kind"] for s in one["slots"]} == {"stated_figure", "yes_or_no"}
    plans = [[(s["kind"], s["document"], s["transformer"]) for s in drawn(1, n, paths, skills)["slots"]] for n in range(6)]
    assert len({orjson.dumps(p) for p in plans}) > 3
    for kind in ("stated_figure", "yes_or_no"):
        slots = [s for s in one["slots"] if s["kind"] == kind]
        assert len({s["document"] for s in slots}) == 3
        assert len({s["transformer"] for s in slots}) == 2


def test_a_trial_goes_from_the_draw_to_its_table_through_the_batch_folders(tmp_path: Path) -> None:
    skills = [str(template(tmp_path))]
    stands, made, _ = whole(tmp_path / "trial", 2, 7, documents(tmp_path), skills)
    assert stands.kinds == 2
    assert not any(stands.waiting.values())
    assert stands.made == {"accepted": 6}
    assert len(stands.findings) == 6
    agents = {row["body"]["metadata"]["agent"] for row in made}
    assert {"mine/2_instruct/stated_figure", "mine/2_instruct/yes_or_no", "mine/4_respond/answer"} <= agents

    figures = [f for f in stands.findings if f.kind == "stated_figure"]
    assert {f.skill for f in stands.findings} == {"mine"}
    table = {line["measure"]: line for line in stands.table()}
    transformed = [f for f in stands.findings if f.genre == "notice"]
    fit = [f for f in stands.findings if f.measures["fit to train on"]]
    for name, rows, met in (
        ("kind named", 6, len(figures)),
        ("answer agreed with", 6, 6),
        ("genre named", len(transformed), len(transformed)),
        ("fit to train on", 6, len(fit)),
        ("edits do what they say", 0, 0),
    ):
        assert (table[name]["rows"], table[name]["met"]) == (rows, met), name
    assert table["kind named"]["share"] == 0.5
    assert table["edits do what they say"]["share"] is None
    assert 0 < len(transformed) < 6
    assert sum("not kind named" in line for line in stands.lines()) == 3
    again, more_made, more_judged = whole(tmp_path / "trial", 0, 0, [], [])
    assert (again.table(), more_made, more_judged) == (stands.table(), [], [])


def test_whoever_judges_sees_neither_kind_nor_genre_nor_gold(tmp_path: Path) -> None:
    """The lists of all kinds and of all genres are shown, alike for every row; which one it was made to be is not."""
    skills = [str(template(tmp_path))]
    _, made, judged = whole(tmp_path / "trial", 2, 7, documents(tmp_path), skills)
    assert {row["body"]["metadata"]["agent"] for row in judged} == {"fidelity/genre", "fidelity/solve", "fidelity/review"}
    for row in judged:
        told = "\n".join(m["content"] for m in row["body"]["messages"])
        agent = row["body"]["metadata"]["agent"]
        assert GOLD not in told, agent
        named = [told.count(word) for word in ("stated_figure", "yes_or_no")]
        assert named == ([1, 1] if agent == "fidelity/solve" else [0, 0]), agent
        assert told.count("- notice\n") == (agent == "fidelity/genre")
        assert not any(word in told.replace("- identity", "") for word in ("identity", "mine/"))
    assert not any(GOLD in m["content"] for row in made for m in row["body"]["messages"])


def test_a_trial_that_is_not_begun_says_how(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="begin one, such as: preceptor fidelity"):
        trial(tmp_path / "none", 0, 1, [], [])
