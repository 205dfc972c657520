"""A process that spends all it may at an endpoint: calls of every size, 256 at once, until no call fits under the cap."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import engine_fakes as fakes

from preceptor.draws import fraction
from preceptor.engine.journal import Journal
from preceptor.engine.money import Caps, Price
from preceptor.engine.run import run
from preceptor.engine.store import Item
from preceptor.errors import BudgetSpent
from preceptor.models import open_model
from preceptor.types import Agent, Ask, Dropped, Produced, Trace

SLOTS = 256
SIZES = [Agent(f"tiny/1_transform/write{most}", "Of {{ number }} {{ text }}", max_tokens=most) for most in (40, 120, 400)]


async def work(item: Item, ask: Ask) -> Produced:
    """Four calls, of which none depends on another; their sizes are drawn."""

    async def one(number: int) -> None:
        drawn = fraction(item.id, number)
        await ask(SIZES[int(3 * drawn)], number=f"{item.id}/{number}", text="word " * int(200 * fraction(drawn)))

    await asyncio.gather(*(one(n) for n in range(4)))
    gone = Dropped(item.document, "transform", "read")
    return Produced(dropped=(gone,), trace=(Trace("transform", item.document, (gone,)),))


async def main(folder: str, url: str, cap: float) -> int:
    journal = Journal(Path(folder))
    model = open_model({"url": url, "model": "billed", "in_flight": SLOTS})
    caps, prices = Caps(money=cap), {"billed": Price(prompt=0.12, completion=1.50)}
    out = fakes.outside(journal, model, slots=SLOTS, caps=caps, prices=prices)
    try:
        await run(fakes.items(5000), work, fakes.door(out), out)
    except BudgetSpent:
        return 4
    finally:
        await model.close()
        journal.close()
    return 0


sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
