"""A21: the journals of every released version open, hold what they held, and are resumed without paying twice."""

import tarfile
from pathlib import Path

import pytest

from engine.journals import flow, record
from preceptor.engine.fsck import fsck
from preceptor.engine.journal import Journal, fork
from preceptor.engine.run import run
from preceptor.engine.store import Store

HERE = Path(__file__).parent / "journals"
VERSIONS = sorted(p.name.removesuffix(".tar.gz") for p in HERE.glob("*.tar.gz"))


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a run that a process of that version left when it died."""
    with tarfile.open(HERE / f"{request.param}.tar.gz") as held:
        held.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


def test_there_is_a_journal_of_the_first_version() -> None:
    assert "0.1.0" in VERSIONS


def test_a21_an_old_journal_is_read_as_it_is(old: Path) -> None:
    store = Store(old)
    law = store.law()
    assert law["holds"]
    assert {state for state, n in law["items"].items() if n} >= {"finished", "quarantined", "pending"}
    assert store.meta("late") == {"in": "run.db-wal"}
    assert all(row.node.instruction.material.document.text.endswith("über naïve Häfen") for row in store.examples())
    store.close()
    assert fsck(old).faults == ()


async def test_a21_an_old_journal_is_resumed_and_only_the_rest_is_paid_for(old: Path) -> None:
    journal, teacher = Journal(old), flow.Teacher()
    out = flow.outside(journal, teacher)
    assert out.purse.spent > 0, "what was in the air when the old process died is charged"
    await run(flow.items(), flow.work(False), flow.door(out), out, signals=False)
    journal.close()
    store = Store(old)
    law, paid = store.law(), store.rows("SELECT count(*) FROM calls")[0][0]
    store.close()
    assert law["holds"]
    assert law["items"]["finished"] == flow.ITEMS
    assert paid == record.PAID + teacher.paid
    assert fsck(old).faults == ()

    whole, fresh = Journal(old.parent / "whole"), flow.Teacher()
    out = flow.outside(whole, fresh)
    await run(flow.items(), flow.work(False), flow.door(out), out, signals=False)
    whole.close()
    assert fresh.paid == paid, "an unkilled run makes the same calls"
    one, two = Store(old), Store(old.parent / "whole")
    assert [row.node for row in one.examples()] == [row.node for row in two.examples()]
    one.close()
    two.close()


async def test_a21_an_old_journal_can_be_forked(old: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "fork")
    assert await fork(journal, old) == record.PAID
    journal.close()
    assert fsck(tmp_path / "fork").faults == ()
