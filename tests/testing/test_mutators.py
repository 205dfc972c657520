"""Each mutator makes a right answer wrong and leaves its form alone."""

import orjson
import pytest

from preceptor.testing import MUTATORS, mutate
from preceptor.types import Document, Gold, Instruction, Material, Option

PASSAGE = "Anna Lindqvist bought the mill in 1871 for 4,200 crowns. Some neighbours of Peter Grace called that a betrayal."
MATERIAL = Material(Document("d", PASSAGE, "d.md"), "identity", PASSAGE, language="en")


def asked(form: str, value: object, shape: str = "short", **more: object) -> Instruction:
    return Instruction(MATERIAL, "kind", "What?", shape, gold=Gold(form, value), **more)  # type: ignore[arg-type]


TEXTS = [
    ("number", "in 1871", r"in 187\d"), ("entity", "It was Anna Lindqvist", "It was .+"),
    ("scope", "some neighbours", "all neighbours"), ("polarity", "it was sold", "it was not sold"),
    ("unit", "12 km", "12 m"), ("order", "wheat rye", "rye wheat"), ("span", "the old mill", "the old"),
    ("argument", "then Anna Lindqvist paid Peter Grace", "then Peter Grace paid Anna Lindqvist"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), TEXTS, ids=[t[0] for t in TEXTS])
def test_a_text_is_changed_in_the_one_way_that_was_named(name: str, right: str, wrong: str) -> None:
    import re

    made = mutate(name, asked("text", right), {"answer": f"{right}.", "final": right})
    assert made is not None
    assert re.fullmatch(wrong, made["final"])
    assert made["final"] != right
    assert made["answer"] == f"{made['final']}."


def test_an_option_becomes_another_letter_of_a_fitting_role() -> None:
    options = tuple(Option(t, r) for t, r in (("a", "reversed"), ("b", "credited"), ("c", "too_broad")))
    item = asked("option", "B", "multiple_choice", options=options)
    made = {n: mutate(n, item, {"answer": "(B) b", "final": "B"}) for n in MUTATORS}
    assert [made[n]["final"] for n in ("polarity", "scope")] == ["A", "C"]  # type: ignore[index]
    assert all(m is not None and m["final"] in "AC" for m in made.values())


def test_lists_keep_being_lists() -> None:
    order = mutate("order", asked("order", ["x", "y", "z"], "order"), {"final": '["x","y","z"]'})
    fewer = mutate("scope", asked("set", ["x", "y", "z"], "set"), {"final": '["x","y","z"]'})
    assert order is not None
    assert sorted(orjson.loads(order["final"])) == ["x", "y", "z"] != orjson.loads(order["final"])
    assert fewer is not None
    assert len(orjson.loads(fewer["final"])) == 2


def test_what_bears_no_meaning_is_no_mutation() -> None:
    assert mutate("order", asked("text", "the mill"), {"final": "the mill"}) is None
    assert mutate("unit", asked("text", "Anna"), {"final": "Anna"}) is None


def test_the_same_answer_is_always_spoilt_in_the_same_way() -> None:
    made = [mutate("number", asked("text", "1871 and 4,200"), {"final": "1871 and 4,200"}) for _ in range(3)]
    assert made[0] == made[1] == made[2] is not None
