"""Records the journal of a released version, once, with that version.

PYTHONPATH=src:tests python tests/engine/journals/record.py 0.1.0

The run is left as a process that dies leaves it: some items finished, one quarantined, the others pending with
replies already paid for, an allowance open, and the newest commits only in run.db-wal.
"""

import asyncio
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from engine.journals import flow
from preceptor.engine.journal import Journal
from preceptor.engine.run import run

HERE, PAID = Path(__file__).parent, 44


async def half(folder: Path) -> None:
    """The run is begun and stands still when PAID replies are stored; then the process is gone."""
    journal = Journal(folder)
    out = flow.outside(journal, flow.Teacher(PAID))
    await journal.remember("fingerprint", {"recipe.seed": "1"})
    await journal.remember("recipe", {"name": "old", "seed": 1, "teacher": "old"})
    asyncio.get_running_loop().create_task(run(flow.items(), flow.work(True), flow.door(out), out, signals=False))
    for _ in range(100):
        await asyncio.sleep(0.02 * (out.paid < PAID))
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await journal.remember("late", {"in": "run.db-wal"})
    os._exit(0)


def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    return entry.replace(uid=0, gid=0, uname="", gname="", deep=False)


def main(version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if not (child := os.fork()):
            asyncio.run(half(Path(folder) / "run"))
        os.waitpid(child, 0)
        with tarfile.open(HERE / f"{version}.tar.gz", "w:gz") as held:
            for name in ("run.db", "run.db-wal"):
                held.add(Path(folder) / "run" / name, name, filter=nobodys)


if __name__ == "__main__":
    main(sys.argv[1])
