"""The experiment's parts: what each arm is taught, what the clock allows, what the page says. The whole of it takes an hour."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from preceptor.errors import UserError
from preceptor.student import page
from preceptor.student.evaluate import Marked, Result
from preceptor.student.picture import Picture
from preceptor.student.proof import ARMS, DOES, Bench, Budget, clean, exchanged, matched, planned, same_budget
from preceptor.student.rows import Row
from student.makings import exam, rows


def row(n: int, kind: str = "k", skill: str = "s", turns: int = 1) -> Row:
    said = [{"role": "assistant", "content": f"{kind}{n}.{turn}"} for turn in range(turns)]
    asked = [{"role": "user", "content": f"q{n}.{turn}"} for turn in range(turns)]
    messages = tuple(m for pair in zip(asked, said, strict=True) for m in pair)
    return Row(f"{kind}{n}", skill, kind, f"d{n}", messages, answer=said[-1]["content"])


def test_in_the_shuffled_arm_every_answer_is_another_rows_of_the_same_kind() -> None:
    held = [*(row(n, "a", turns=2) for n in range(6)), *(row(n, "b") for n in range(5))]
    made = exchanged(held, 1)
    assert Counter(r.kind for r in made) == Counter(r.kind for r in held)
    for one in made:
        number = str(one.messages[0]["content"])[1]
        for message in one.messages[1::2]:
            assert str(message["content"]).startswith(one.kind)
            assert str(message["content"])[1] != number
    assert [m["role"] for m in made[0].messages] == ["user", "assistant"] * 2


def test_an_arm_takes_its_tokens_from_all_skills_alike() -> None:
    held = [row(n, skill=skill) for skill in ("x", "y") for n in range(50)]
    held = [Row(f"{r.skill}{r.id}", r.skill, r.kind, r.source, r.messages) for r in held]
    sizes = {r.id: 10 if r.skill == "x" else 30 for r in held}
    taken = matched(held, 600, sizes, 1)
    spent = {s: sum(sizes[r.id] for r in taken if r.skill == s) for s in "xy"}
    assert abs(spent["x"] - spent["y"]) <= 30
    assert 600 <= sum(spent.values()) <= 630
    assert [r.id for r in taken] != [r.id for r in matched(held, 600, sizes, 2)]


def test_rows_that_are_used_up_come_again_with_the_same_answer_so_that_all_arms_have_the_same_tokens() -> None:
    held = [row(n) for n in range(5)]
    taken = matched(held, 120, dict.fromkeys((r.id for r in held), 10), 1)
    assert Counter(Counter(r.id for r in taken).values()) == {2: 3, 3: 2}
    wrong = {(a.id, b.answer) for a, b in zip(taken, exchanged(taken, 1), strict=True)}
    assert len(wrong) == 5
    assert all(not answer.startswith(name) for name, answer in wrong)


@pytest.mark.parametrize(
    ("minutes", "seeds", "arms"), [(600, 3, 4), (120, 1, 4), (75, 1, 4), (31, 1, 2)], ids=["ten hours", "two", "less", "little"]
)
def test_what_the_clock_does_not_allow_is_dropped_and_named(tmp_path: Path, minutes: float, seeds: int, arms: int) -> None:
    bench = Bench(tmp_path, Budget(minutes), print)
    plan = planned(bench, 1200.0, 150.0, 0.005)
    assert (len(plan.seeds), len(plan.arms)) == (seeds, arms)
    assert len(plan.dropped) == 3 - seeds + len(ARMS) - arms
    assert planned(bench, 9999.0, 1.0, 1.0) == plan  # once made, it stands


def test_an_experiment_goes_on_with_the_budget_it_was_begun_with(tmp_path: Path) -> None:
    assert same_budget(tmp_path, Budget(60)) == same_budget(tmp_path, Budget(60))
    with pytest.raises(UserError, match="was begun with"):
        same_budget(tmp_path, Budget(90))


def test_a_proof_with_a_leak_is_none() -> None:
    clean(rows(), exam())
    item = exam().items[0]
    leaked = Row("r", item.skill, item.kind, "elsewhere.csv", (), item.passage)
    with pytest.raises(UserError, match="leaks"):
        clean([*rows(), leaked], exam())


def result(name: str, right: float) -> Result:
    marked = [Marked(f"{s}{n}", s, "k", f"d{n}", "", n < right * 40) for s in ("one", "two") for n in range(40)]
    return Result(name, "e", 0, tuple(marked), 1.0)


def test_the_page_says_which_aims_were_reached_and_which_were_not() -> None:
    results = {"base": result("base", 0), "base, 3 shots": result("shots", 0.2), "taught-1": result("t", 0.6)}
    results |= {"taught-2": result("t", 0.7), "shuffled-1": result("s", 0.6)}
    told = page.slots(results, ARMS, DOES)
    assert "| taught | 2 | 65 %" in told["arms"]
    assert "one +45.0" in told["aims"][0]
    assert "Not on none" in told["aims"][0]
    assert "reached on none" in told["aims"][1]
    assert told["seeds"].count("taught") == 2
    assert "failed" not in told["what"]


def test_a_picture_is_a_png_that_others_can_read(tmp_path: Path) -> None:
    picture = Picture(320, 200)
    picture.axes(10, 2.5)
    picture.line([2.5, 1.0, 0.5], (20, 90, 160))
    picture.write(tmp_path / "p.png")
    image = pytest.importorskip("PIL.Image").open(tmp_path / "p.png")
    assert image.size == (320, 200)
    assert len(image.getcolors()) >= 4
    assert orjson.loads(orjson.dumps(Budget()))["minutes"] == 120
