"""A process that runs N items against an endpoint; killed and started again until it ends by itself."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import engine_fakes as fakes

from preceptor.engine.journal import Journal
from preceptor.engine.run import run


async def main(folder: str, url: str, n: int, slots: int) -> int:
    journal = Journal(Path(folder))
    model = fakes.Remote(url)
    out = fakes.outside(journal, model, slots=slots)
    try:
        ended = await run(fakes.items(n), fakes.produce, fakes.door(out), out)
    finally:
        await model.close()
        journal.close()
    return 130 if ended.interrupted else 0


sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
