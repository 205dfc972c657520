"""Flow 1: transformers that suit, the document as it is, declines, and what becomes of the others then."""

from pathlib import Path

import pytest

from flows.makings import TEXT, document, door, skill
from preceptor.errors import EndpointError
from preceptor.flows.flow1_transform import transform
from preceptor.models.scripted import prompt_of
from preceptor.types import Dropped, Material

TELLS = {
    "1_transform/tells.md": '+++\nsuits = ["prose", "verse"]\n+++\n{{ block("document", document.text) }}\nTell it anew.\n'
}
PLANS = {
    "1_transform/plans.md": """
        +++
        suits = ["table"]
        [reply]
        text = { max = 900 }
        premises = { type = "list" }
        +++
        {{ block("document", document.text) }}
    """
}
ONLY_AGENTS = {"skill.toml": 'title = "Small"\n[transform]\npick = 3\noriginal = false\n'}


async def test_only_transformers_that_suit_the_kind_of_document_are_drawn(tmp_path: Path) -> None:
    small = skill(tmp_path, TELLS, PLANS, ONLY_AGENTS)
    ask = door({"*/tells": "Told anew.", "*/plans": {"text": "A plan.", "premises": ["one"]}})
    (prose,) = await transform(document(), small, ask)
    (table,) = await transform(document(kind="table"), small, ask)
    assert [(m.genre, m.text, m.data) for m in (prose, table)] == [
        ("tells", "Told anew.", {}),
        ("plans", "A plan.", {"premises": ["one"]}),
    ]


async def test_a_document_that_no_transformer_suits_is_dropped_with_its_kind(tmp_path: Path) -> None:
    (lost,) = await transform(document(kind="code"), skill(tmp_path, TELLS, PLANS, ONLY_AGENTS), door())
    assert isinstance(lost, Dropped)
    assert lost.reason == "no transformer of small suits a document of kind code"


async def test_the_document_as_it_is_costs_no_call(tmp_path: Path) -> None:
    ask = door()
    (same,) = await transform(document(language="de"), skill(tmp_path), ask)
    assert (same.genre, same.text, same.language, ask.requests) == ("identity", TEXT, "de", [])


async def test_a_transformer_may_decline_and_its_reason_is_kept(tmp_path: Path) -> None:
    small = skill(tmp_path, PLANS, ONLY_AGENTS)
    ask = door(
        {"*/plans": {"text": "x", "premises": [], "decline": "There is nothing to plan."}}, document=document(kind="table")
    )
    (lost,) = await transform(document(kind="table"), small, ask)
    assert isinstance(lost, Dropped)
    assert (lost.reason, lost.agent) == ("declined: There is nothing to plan.", "small/1_transform/plans")


async def test_prose_may_decline_too(tmp_path: Path) -> None:
    (lost,) = await transform(document(), skill(tmp_path, TELLS, ONLY_AGENTS), door({"*/tells": "DECLINE: too short to tell"}))
    assert isinstance(lost, Dropped)
    assert lost.reason == "declined: too short to tell"


async def test_a_reply_that_does_not_fit_drops_its_material_and_no_other(tmp_path: Path) -> None:
    small = skill(
        tmp_path, TELLS, {"1_transform/plans.md": PLANS["1_transform/plans.md"].replace("table", "prose")}, ONLY_AGENTS
    )
    made = await transform(document(), small, door({"*/tells": "Told.", "*/plans": {"text": "no premises"}}))
    kept = [m for m in made if isinstance(m, Material)]
    lost = [m for m in made if isinstance(m, Dropped)]
    assert [m.genre for m in kept] == ["tells"]
    assert "premises: Field required" in lost[0].reason


async def test_one_branch_that_ends_the_run_lets_its_siblings_finish(tmp_path: Path) -> None:
    small = skill(tmp_path, TELLS, {"1_transform/other.md": "{{ document.text }} Tell it."}, ONLY_AGENTS)
    done: list[str] = []

    def says(request: object) -> str:
        done.append("tells")
        return "Told."

    with pytest.raises(EndpointError):
        await transform(document(), small, door({"*/other": EndpointError("no key"), "*/tells": says}))
    assert done == ["tells"]


DRAWS = {
    "1_transform/tells.md": """
        +++
        [draws]
        step = ["a gap", "a mistake"]
        [reply]
        text = { max = 900 }
        +++
        {{ block("document", document.text) }}
        Let there be {{ drawn.step }}.
    """
}


async def test_what_a_plan_turns_on_is_drawn_and_not_left_to_whoever_writes(tmp_path: Path) -> None:
    small, told = skill(tmp_path, DRAWS, ONLY_AGENTS), []
    for number in range(40):
        ask = door({"*/tells": {"text": "Told."}}, seed=str(number))
        await transform(document(), small, ask)
        told.append("a mistake" in prompt_of(ask.requests[0]))
    assert 10 <= sum(told) <= 30
