"""All steps together: nothing depends on who finishes first, nothing leaks, nothing harms its siblings."""

import ast
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from flows.makings import EXAMPLES, SMALL, Late, document, door, skill, template, trial
from preceptor import factory
from preceptor.corpus import read
from preceptor.errors import EndpointError
from preceptor.export.preference import pairs_of
from preceptor.flows.produce import produce
from preceptor.models.scripted import ScriptedModel
from preceptor.recipe import recipe_of
from preceptor.skill import load_skill
from preceptor.types import Completion, Document, Dropped, Produced, Request, canonical

SOURCES = Path(factory.__file__).parent
TIDES = "mine/golden/documents/tides.md"


def tides(pack: Path) -> Document:
    return read([pack / "golden/documents/tides.md"]).documents[0]


def told(produced: Produced) -> list[tuple[str, str, str]]:
    """The rows and drops as they can be compared."""
    rows = [(e.id, e.status, canonical(list(e.messages))) for e in produced.examples]
    return rows + [(d.id, d.step, d.reason) for d in produced.dropped]


async def test_the_rows_are_the_same_in_whatever_order_the_replies_arrive(tmp_path: Path) -> None:
    pack = template(tmp_path)
    mine, text = load_skill(pack), tides(pack)
    results, orders = [], set()
    for seed in range(8):
        late = Late(trial(pack), seed)
        ask = door(late, document=text)
        results.append(told(await produce(text, mine, ask)))
        orders.add(tuple(late.order))
    assert len(results[0]) == 3
    assert all(result == results[0] for result in results)
    assert len(orders) > 1, "the replies always came in the same order: the test shows nothing"


async def test_a_kind_added_to_a_taxonomy_leaves_the_other_draws_as_they_were(tmp_path: Path) -> None:
    kinds = "".join(f'[[kind]]\nname = "k{n}"\nagent = "count"\nchecks = ["gold_text"]\n' for n in range(6))
    three = {"skill.toml": SMALL["skill.toml"].replace("pick = 1\n        [refine]", "pick = 3\n        [refine]")}
    said = {
        "*/count": {"question": "How many?", "answer": "seventeen"},
        "*/answer": {"answer": "Seventeen.", "final": "seventeen"},
    }
    before = skill(tmp_path, three, {"2_instruct/taxonomy.toml": kinds})
    after = skill(
        tmp_path / "more", three, {"2_instruct/taxonomy.toml": kinds + kinds[: kinds.index("[[", 2)].replace("k0", "new")}
    )

    async def drawn(small: Any) -> list[str]:
        instructed = (await produce(document(), small, door(said))).trace[1]
        return [thing.kind for thing in instructed.out]  # rows and repeats: all of them ask the same

    old, new = await drawn(before), await drawn(after)
    assert len(old) == len(new) == 3
    assert [k for k in new if k != "new"] == [k for k in old if k in new]


async def test_a_wrong_then_right_teacher_gives_one_row_two_drafts_and_one_pair(tmp_path: Path) -> None:
    two = {"skill.toml": 'title = "Small"\n[instruct]\npick = 1\n[refine]\nshare = 0.0\n[respond]\nanswers = 2\nrounds = 0\n'}
    asked = {"question": "How many berths are kept free?", "answer": "seventeen"}
    answers = [{"answer": "Ten.", "final": "ten"}, {"answer": "Seventeen.", "final": "seventeen"}]
    ask = door({"*/count": asked, "*/answer": answers})
    made = await produce(document(), skill(tmp_path, two), ask)
    (row,) = made.examples
    assert (row.status, len(row.drafts), made.dropped) == ("accepted", 2, ())
    assert len(list(pairs_of([(row, "small")]))) == 1


async def test_a_branch_that_is_dropped_leaves_its_siblings_alone_and_stands_in_the_trace(tmp_path: Path) -> None:
    pack = template(tmp_path)
    text = tides(pack)
    scripted = trial(pack)

    def refuses(request: Request) -> Any:
        return {"question": "?", "evidence": ["nowhere in the text"], "answer": "no"}

    class Teacher:
        name = "t"

        async def complete(self, request: Request) -> Completion:
            model = ScriptedModel(refuses) if request.agent.endswith("yes_or_no") else scripted
            return await model.complete(request)

    made = await produce(text, load_skill(pack), door(Teacher(), document=text))
    assert {e.instruction.kind for e in made.examples} == {"stated_figure"}
    (lost,) = made.dropped
    assert (lost.kind, lost.step) == ("yes_or_no", "instruct")
    assert lost in [thing for trace in made.trace for thing in trace.out]
    for step in made.trace:
        assert step.out


async def test_an_end_of_the_run_is_told_after_all_siblings_have_finished(tmp_path: Path) -> None:
    pack = template(tmp_path)
    text, scripted, done = tides(pack), trial(pack), []

    class Teacher:
        name = "t"

        async def complete(self, request: Request) -> Completion:
            if request.agent.endswith("yes_or_no"):
                raise EndpointError("the key is refused")
            done.append(request.agent)
            return await scripted.complete(request)

    with pytest.raises(EndpointError):
        await produce(text, load_skill(pack), door(Teacher(), document=text))
    assert "mine/2_instruct/stated_figure" in done


async def test_an_item_of_which_nothing_comes_says_so(tmp_path: Path) -> None:
    only = {"2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nsuits = ["argument"]\n'}
    made = await produce(document(), skill(tmp_path, only), door())
    assert made.examples == ()
    assert [(d.step, type(d.item)) for d in made.dropped] == [("instruct", type(made.trace[0].out[0]))]


async def test_a_step_of_the_pack_replaces_the_one_in_the_box(tmp_path: Path) -> None:
    own = {
        "skill.py": """
            from preceptor.types import Dropped

            async def instruct(material, skill, ask):
                return [Dropped(material, "instruct", "this pack never asks")]
        """
    }
    (lost,) = (await produce(document(), skill(tmp_path, own), door())).dropped
    assert isinstance(lost, Dropped)
    assert lost.reason == "this pack never asks"


# ── languages ────────────────────────────────────────────────────────────────────────────────────────────────────

SPOKEN = [
    (
        "das_archiv_unter_dem_rathaus.md",
        "de",
        "German",
        {"question": "Wie heißt das Archiv in diesem Text und wo liegt es?", "answer": "unter dem Rathaus"},
        {
            "answer": "Das Archiv liegt unter dem Rathaus, und zwar im Keller, wo im November 2014 ein Rohr platzte und das "
            "Wasser auf dem Boden stand, bis der Hausmeister die Akten die Treppe hinauf trug und sie trocken blieben.",
            "final": "unter dem Rathaus",
        },
    ),
    (
        "bawdi_ka_pani.md",
        "hi",
        "Hindi",
        {"question": "इस पाठ में पानी कहाँ से आता है?", "answer": "बावड़ी"},
        {
            "answer": "पानी कस्बे की पुरानी बावड़ी से आता था, जिसे लोग रानी की बावड़ी कहते हैं, हालाँकि उसे किसी रानी ने नहीं बनवाया था, और "
            "जिसमें उत्तर की दीवार के एक छेद से पानी भरता था, जैसा कि एक लड़के ने अपने चित्र में दिखाया।",
            "final": "बावड़ी",
        },
    ),
]


@pytest.mark.parametrize(("file", "code", "name", "asked", "answered"), SPOKEN, ids=["German", "Hindi"])
def test_a_document_gives_rows_in_its_language_and_every_prompt_asks_for_it(
    file: str, code: str, name: str, asked: Any, answered: Any, tmp_path: Path
) -> None:
    small = skill(tmp_path, {"skill.toml": SMALL["skill.toml"] + '\n        [verify]\n        checks = ["wrong_language"]\n'})
    recipe = recipe_of({"documents": [str(EXAMPLES / file)], "skills": [str(small.path)]}, tmp_path)
    teacher = ScriptedModel({"*/count": asked, "*/answer": answered})
    run = factory.run(recipe, tmp_path / "run", limit=1, models={"teacher": teacher}, signals=False)
    (row,) = run.examples()
    assert row.instruction.material.document.language == code
    assert row.instruction.text in row.messages[0]["content"]
    assert row.messages[-1]["content"] == answered["answer"]
    assert [v.outcome for v in row.verdicts if v.check == "wrong_language"] == ["pass"]
    assert len(teacher.requests) == 2
    for request in teacher.requests:
        assert request.messages[0]["role"] == "system"
        assert f"The material is in {name}. Write everything that a reader will see in {name}" in request.messages[0]["content"]


ENGLISH = (
    "It lies below the town hall, in the cellar, where a pipe burst in the November of 2014 and the water stood on the floor "
    "until the caretaker had carried the files up the stairs, so that they were dry and could be read again."
)


def test_a_row_in_the_wrong_language_is_rejected(tmp_path: Path) -> None:
    small = skill(tmp_path, {"skill.toml": SMALL["skill.toml"] + '\n        [verify]\n        checks = ["wrong_language"]\n'})
    file, _, _, asked, _ = SPOKEN[0]
    english = {"answer": ENGLISH, "final": asked["answer"]}
    recipe = recipe_of({"documents": [str(EXAMPLES / file)], "skills": [str(small.path)]}, tmp_path)
    teacher = ScriptedModel({"*/count": asked, "*/answer": english})
    run = factory.run(recipe, tmp_path / "run", limit=1, models={"teacher": teacher}, signals=False)
    (row,) = run.examples("rejected")
    assert [v.check for v in row.verdicts if v.outcome == "fail"] == ["wrong_language"]


# ── following it ─────────────────────────────────────────────────────────────────────────────────────────────────

READABLE = {"flows", "checks", "skill", "prompts", "types", "errors", "draws"}


@pytest.mark.parametrize("file", sorted((SOURCES / "flows").glob("*.py")), ids=lambda f: f.stem)
def test_the_flows_import_nothing_but_their_own_words(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    named += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    ours = {name.split(".")[1] for name in named if name.startswith("preceptor.")}
    assert ours <= READABLE, ours - READABLE
    others = {name.split(".")[0] for name in named if not name.startswith("preceptor")}
    assert others <= {*sys.stdlib_module_names, "orjson"}


class Ends:
    """The scripted teacher, which ends the run at one agent."""

    name = "ends"

    def __init__(self, pack: Path, last: str) -> None:
        self.scripted, self.last = trial(pack), last

    async def complete(self, request: Request) -> Completion:
        if request.agent.endswith(self.last):
            raise EndpointError(self.last)
        return await self.scripted.complete(request)

    async def close(self) -> None:
        return None


@pytest.mark.parametrize("last", ["notice", "stated_figure", "yes_or_no", "suggester", "editor", "answer"])
def test_at_most_eight_calls_lead_from_run_to_the_model(last: str, tmp_path: Path) -> None:
    """An error that a model raises passes through all that led to it: every frame of ours is counted, from the engine's `run`
    on; `together` only waits, and `_watched` only says who has the processor."""
    template(tmp_path)
    picked = {"mine": {"transform": {"original": last != "notice"}}}
    recipe = recipe_of({"documents": [TIDES], "skills": picked}, tmp_path)
    with pytest.raises(EndpointError) as raised:
        factory.run(recipe, tmp_path / "run", models={"teacher": Ends(tmp_path / "mine", last)}, signals=False)
    frames = traceback.extract_tb(raised.value.__traceback__)
    ours = [Path(f.filename).name + " " + f.name for f in frames if Path(f.filename).is_relative_to(SOURCES)]
    ours = [name for name in ours[ours.index("run.py run") :] if not name.endswith((" together", " _watched"))]
    assert ours[-1].startswith("ask.py")  # from there to the model is the last call
    assert len(ours) <= 8, " · ".join(ours)
