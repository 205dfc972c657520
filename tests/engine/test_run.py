"""The scheduler: one bad item harms no other, waiting ones come back, and nothing disappears silently."""

import asyncio
import os
import signal
from dataclasses import replace
from typing import Any

import engine_fakes as fakes
import pytest

from preceptor.draws import digest
from preceptor.engine.journal import Journal
from preceptor.engine.report import report
from preceptor.engine.run import Progress, run
from preceptor.engine.store import Item, Store
from preceptor.errors import Declined, EndpointError, Parked, UserError
from preceptor.types import Ask, Produced, Request, Trace, Verdict


async def go(journal: Journal, model: Any, work: Any = fakes.produce, n: int = 10, **settings: Any) -> Any:
    out = fakes.outside(journal, model, slots=settings.pop("slots", 4))
    return await run(fakes.items(n), work, fakes.door(out), out, signals=False, **settings)


@pytest.fixture
def store(journal: Journal) -> Any:
    held = Store(journal.folder)
    yield held
    held.close()


async def test_every_item_ends_and_the_law_holds(journal: Journal, store: Store) -> None:
    told: list[Progress] = []
    ended = await go(journal, fakes.Fake(), tell=told.append)
    law = store.law()
    assert law["holds"]
    assert law["items"] == {"planned": 10, "finished": 10, "dropped": 0, "quarantined": 0, "pending": 0}
    assert law["examples"] == {"made": 30, "accepted": 20, "rejected": 10, "surplus": 0}
    assert law["steps"]["instruct"] == {"entered": 10, "born": 20, "passed": 30, "dropped": 0, "pending": 0}
    assert told[-1] == ended.progress
    assert ended.progress.accepted == {"tiny/kind0": 10, "tiny/kind1": 10}
    assert (ended.progress.paid, ended.progress.completion_tokens) == (70, 1400)


async def test_running_again_pays_for_nothing_and_changes_nothing(journal: Journal, store: Store) -> None:
    model = fakes.Fake()
    await go(journal, model)
    before = store.rows("SELECT * FROM nodes")
    ended = await go(journal, model)
    assert (model.paid.total(), ended.progress.paid) == (70, 0)
    assert store.rows("SELECT * FROM nodes") == before


async def test_new_documents_join_a_finished_run(journal: Journal, store: Store) -> None:
    model = fakes.Fake()
    await go(journal, model, n=4)
    await go(journal, model, n=6)
    assert (store.law()["items"]["finished"], model.paid.total()) == (6, 42)


async def test_one_outside_serves_several_runs(journal: Journal, store: Store) -> None:
    out = fakes.outside(journal, fakes.Fake())
    for n in (2, 5):
        await run(fakes.items(n), fakes.produce, fakes.door(out), out, signals=False)
        assert store.law()["items"]["finished"] == n


async def test_the_order_of_completion_does_not_change_the_dataset(tmp_path: Any) -> None:
    seen = []
    for slots in (1, 5, 32):
        journal = Journal(tmp_path / str(slots))
        await go(journal, fakes.Fake(seconds=0.0005 * slots), slots=slots)
        store = Store(journal.folder)
        seen.append([row.node for row in store.examples()])
        store.close()
        journal.close()
    assert seen[0] == seen[1] == seen[2]


async def test_a_bug_in_one_item_sets_it_aside_and_the_others_go_on(journal: Journal, store: Store) -> None:
    async def work(item: Item, ask: Ask) -> Produced:
        if item.place == 3:
            raise KeyError("a bug")
        return await fakes.produce(item, ask)

    for times in (1, 2, 3, 3):  # three times the same crash, and it is not tried again
        await go(journal, fakes.Fake(), work)
        assert store.law()["items"]["quarantined"] == 1
        assert store.rows("SELECT crashes FROM items WHERE state = 'quarantined'") == [(times,)]
    assert store.law()["items"]["finished"] == 9
    assert report(store)["quarantined"][0]["error"] == "KeyError: 'a bug'"
    ((item,),) = store.rows("SELECT id FROM items WHERE state = 'quarantined'")
    assert "Traceback" in store.why(item)["item"]["reason"]


async def test_a_quarantined_item_whose_bug_was_mended_finishes_without_paying_again(journal: Journal, store: Store) -> None:
    async def broken(item: Item, ask: Ask) -> Produced:
        await fakes.produce(item, ask)
        raise KeyError("a bug")

    model = fakes.Fake()
    await go(journal, model, broken, n=2)
    await go(journal, model, n=2)
    assert (store.law()["items"]["finished"], model.paid.total()) == (2, 14)


async def test_a_step_that_lets_something_disappear_is_caught(journal: Journal, store: Store) -> None:
    async def returns_nothing(item: Item, ask: Ask) -> Produced:
        return Produced(trace=(Trace("transform", item.document, ()),))

    async def forgets_a_question(item: Item, ask: Ask) -> Produced:
        whole = await fakes.produce(item, ask)
        return replace(whole, examples=whole.examples[:-1], trace=whole.trace[:-1])

    cases = [(returns_nothing, "returned nothing"), (forgets_a_question, "neither entered")]
    for n, (work, message) in enumerate(cases, 1):
        await go(journal, fakes.Fake(), work, n=n)
        assert message in report(store)["quarantined"][-1]["error"]
    assert store.rows("SELECT count(*) FROM events") == [(0,)]
    assert store.law()["holds"]


async def test_a_decline_becomes_a_drop_with_its_reason(journal: Journal, store: Store) -> None:
    def declining(request: Request) -> str:
        if request.agent == fakes.QUESTION.name and "Ask 1" in request.messages[-1]["content"]:
            return '{"question": "-", "answer": "-", "decline": "nothing to ask"}'
        return fakes.fitting(request)

    await go(journal, fakes.Fake(declining))
    assert [(d["step"], d["reason"], d["count"]) for d in store.drops()] == [("instruct", "nothing to ask", 10)]
    assert {s.node.item.genre for s in store.dropped()} == {"write"}
    assert store.law()["holds"]


async def test_an_item_that_nothing_came_of_is_dropped_with_the_reason(journal: Journal, store: Store) -> None:
    async def work(item: Item, ask: Ask) -> Produced:
        raise Declined("a licence, not a text")

    await go(journal, fakes.Fake(), work)
    assert store.law()["items"]["dropped"] == 10
    assert store.rows("SELECT DISTINCT reason FROM items") == [("a licence, not a text",)]
    assert store.law()["holds"]


async def test_what_ends_the_run_stops_it_after_storing_what_was_in_the_air(journal: Journal, store: Store) -> None:
    answered = 0

    def dying(request: Request) -> Any:
        nonlocal answered
        if answered == 30:
            return EndpointError("the key is refused")
        answered += 1
        return fakes.fitting(request)

    model = fakes.Fake(dying, seconds=0.001)
    with pytest.raises(EndpointError, match="key is refused"):
        await go(journal, model)
    assert store.rows("SELECT count(*) FROM calls") == [(30,)]
    assert store.law()["items"]["pending"] > 0
    model.reply = fakes.fitting
    await go(journal, model)
    assert store.law()["items"]["finished"] == 10
    assert store.rows("SELECT count(*) FROM calls") == [(70,)]


async def test_a_users_mistake_stops_the_run_as_what_it_is(journal: Journal) -> None:
    async def work(item: Item, ask: Ask) -> Produced:
        raise UserError("no kind named 'x'")

    with pytest.raises(UserError, match="no kind named"):
        await go(journal, fakes.Fake(), work)


async def test_items_that_wait_for_a_batch_come_back_when_their_replies_are_in(journal: Journal, store: Store) -> None:
    there = False

    def batch(request: Request) -> Any:
        return fakes.fitting(request) if there else Parked("not in yet")

    model = fakes.Fake(batch)
    ended = await go(journal, model)
    assert (ended.progress.parked, ended.waiting_requests) == (10, 10)
    assert store.law()["items"]["pending"] == 10
    assert store.law()["holds"]
    there = True
    await go(journal, model)
    assert store.law()["items"]["finished"] == 10


async def test_waiting_items_are_polled_where_the_caller_wants_it(journal: Journal, store: Store) -> None:
    seen: set[str] = set()

    def batch(request: Request) -> Any:
        asked = request.agent + request.messages[-1]["content"]
        if asked in seen:
            return fakes.fitting(request)
        seen.add(asked)
        return Parked("not in yet")

    async def work(item: Item, ask: Ask) -> Produced:
        return await fakes.produce(item, ask, questions=1)

    await go(journal, fakes.Fake(batch), work, poll=0.01)
    assert store.law()["items"]["finished"] == 10


async def test_a_second_ctrl_c_does_not_wait(journal: Journal, store: Store) -> None:
    model = fakes.Fake(seconds=60)
    out = fakes.outside(journal, model, slots=4)
    running = asyncio.ensure_future(run(fakes.items(10), fakes.produce, fakes.door(out), out))
    for _ in range(1000):  # the signals are heard from the time on that calls are in the air
        if model.now == 4:
            break
        await asyncio.sleep(0.01)
    for _ in range(2):
        await asyncio.sleep(0.05)
        assert not running.done()
        os.kill(os.getpid(), signal.SIGINT)
    ended = await asyncio.wait_for(running, 5)
    assert ended.interrupted
    assert (model.most, model.now) == (4, 0)
    assert ended.cut_off >= 4
    assert store.law()["items"]["pending"] == 10


async def test_items_are_admitted_only_while_few_calls_wait(journal: Journal) -> None:
    at_work = most = 0

    async def work(item: Item, ask: Ask) -> Produced:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            return await fakes.produce(item, ask)
        finally:
            at_work -= 1

    model = fakes.Fake(seconds=0.001)
    await go(journal, model, work, n=120, slots=2)
    assert most <= 8
    assert model.most <= 2


async def test_the_law_holds_at_every_instant(journal: Journal, store: Store) -> None:
    running = asyncio.ensure_future(go(journal, fakes.Fake(seconds=0.002), n=40))
    seen = set()
    while not running.done():
        law = store.law()
        assert law["holds"], law
        seen.add(law["items"]["finished"])
        await asyncio.sleep(0.003)
    await running
    assert len(seen) > 3


async def test_why_tells_the_way_of_a_row_and_of_a_drop(journal: Journal, store: Store) -> None:
    await go(journal, fakes.Fake(), n=2)
    row = next(store.examples("rejected"))
    why = store.why(row.node.id[:10])
    assert why["node"] == row.node
    assert [type(n).__name__ for n in why["lineage"]] == ["Document", "Material", "Instruction", "Example"]
    assert [(e["step"], e["event"]) for e in why["events"]][-2:] == [("respond", "entered"), ("respond", "passed")]
    assert [v["outcome"] for v in why["verdicts"]] == ["fail"]
    assert len(why["calls"]) == 7
    assert why["calls"][0]["request"]["messages"]
    with pytest.raises(UserError, match="nothing in this run"):
        store.why("zzz")


async def test_a_recheck_keeps_the_older_verdicts(journal: Journal, store: Store) -> None:
    from preceptor.engine.store import rechecked

    await go(journal, fakes.Fake(), n=1)
    row = next(store.examples("rejected"))
    new = [Verdict("gold_text", "pass", "mended", version=2), Verdict("length", "pass")]
    await journal.put(*rechecked(row, store.next_generation(), new, "accepted"))
    assert [v.outcome for _, _, v in store.verdicts(row.item, row.key)] == ["fail", "pass", "pass"]
    again = next(r for r in store.examples("accepted") if r.key == row.key)
    assert [(v.check, v.outcome) for v in again.node.verdicts] == [("gold_text", "pass"), ("length", "pass")]
    assert store.law()["examples"] == {"made": 3, "accepted": 3, "rejected": 0, "surplus": 0}


async def test_the_report_counts_kinds_checks_agents_and_speed(journal: Journal, store: Store) -> None:
    await go(journal, fakes.Fake())
    told = report(store, [{"kind": "weaken", "needs": "judge"}])
    kinds = {row["kind"]: row for row in told["kinds"]}
    assert (kinds["kind0"]["accepted"], kinds["kind0"]["yield"]) == (10, 1.0)
    assert (kinds["kind2"]["rejected"], kinds["kind2"]["failed"]) == (10, {"gold_text": 10})
    assert (told["answered_by"], told["tries"]) == ({"model": 20}, {"1": 20})
    calls = {agent["agent"].rpartition("/")[2]: agent["calls"] for agent in told["agents"]}
    assert calls == {"answer": 30, "question": 30, "write": 10}
    assert told["calls"]["prompt_tokens"] == 3500
    assert told["speed"]["calls_per_second"] > 0
    assert told["skipped"] == [{"kind": "weaken", "needs": "judge"}]
    assert told["law"]["holds"]


async def test_rows_of_added_documents_that_ask_what_older_rows_ask_are_surplus_even_in_an_earlier_pass(
    journal: Journal, store: Store
) -> None:
    def repeating(request: Request) -> str:
        if request.agent == fakes.QUESTION.name:
            return f'{{"question": "What of {int(digest(request.messages[-1]["content"]), 16) % 40}?", "answer": "a"}}'
        return fakes.fitting(request)

    def statuses() -> dict[tuple[str, str], tuple[str, str]]:
        sql = "SELECT item, key, status, reason FROM nodes WHERE type = 'example'"
        return {(item, key): (status, reason) for item, key, status, reason in store.rows(sql)}

    async def taken(items: list[Item], number: int) -> None:
        out = fakes.outside(journal, fakes.Fake(repeating), slots=4)
        plan = [replace(item, pass_number=number) for item in items]
        await run(plan, fakes.produce, fakes.door(out), out, signals=False)

    await taken(fakes.items(8), 1)
    before = statuses()
    await journal.remember("grown", [8])
    await taken(fakes.items(30)[8:], 0)
    after = statuses()
    assert {row: after[row] for row in before} == before
    old = {store.why(key)["node"].id for _, key in before}
    assert any(status == "surplus" and reason.split()[2] in old for row, (status, reason) in after.items() if row not in before)
