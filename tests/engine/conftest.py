"""Makes the engine's fakes importable, and opens journals that are closed again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preceptor.engine.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    held = Journal(tmp_path / "run")
    yield held
    held.close()


@pytest.fixture
def reopened() -> Iterator[Callable[[Journal], Journal]]:
    """Closes a journal and opens it as a new process would."""
    held: list[Journal] = []

    def again(journal: Journal) -> Journal:
        journal.close()
        held.append(Journal(journal.folder))
        return held[-1]

    yield again
    for one in held:
        one.close()
