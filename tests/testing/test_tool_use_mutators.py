"""Each of the eight mutators spoils a right conversation of each kind of tool use, where it can, and a check says so."""

import pytest

from preceptor.skill import load_skill
from preceptor.testing import MUTATORS
from preceptor.testing.bench import Bench, benches
from preceptor.testing.gates import default_documents

SKILL = load_skill("tool_use")
KINDS = [kind for kind in SKILL.kinds if kind.tier == "real"]
NO_CALL = "nothing is called: only how it ends can be turned round"
ONE_CHANGE = "one call changes something, so there are no two to change places"
NOT_APPLICABLE = {
    **{
        (kind, wrong): NO_CALL
        for kind in ("needed_api_not_in_list", "several_apis_some_not_in_list", "no_tool_needed")
        for wrong in MUTATORS
        if wrong != "polarity"
    },
    **{(kind.name, "order"): ONE_CHANGE for kind in KINDS if kind.name != "user_changes_mind"},
    ("user_changes_mind", "scope"): "the first wish is undone by the second: without its call the books end the same",
    ("confirm_before_irreversible", "unit"): "the call that cannot be taken back has no number among its arguments",
}
"""What a mutator cannot do to the right conversation of a kind, and why. All else is done, and has to be caught."""


@pytest.fixture(scope="module")
def spoilt() -> dict[str, Bench]:
    """A right row of each kind and what the mutators make of it."""
    documents = [next(d for d in default_documents() if d.kind == form) for form in ("prose", "code")]
    return {b.kind: b for b in benches(SKILL, KINDS, documents, want=1, passes=1, planted=False)}


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_mutator_that_can_spoil_a_conversation_does_and_is_caught(kind: str, spoilt: dict[str, Bench]) -> None:
    bench = spoilt[kind]
    assert bench.accepted == len(bench.right) >= 1
    assert {w.mutator for w in bench.wrong} == {m for m in MUTATORS if (kind, m) not in NOT_APPLICABLE}
    assert [(w.mutator, w.expected) for w in bench.wrong if not w.caught] == []
