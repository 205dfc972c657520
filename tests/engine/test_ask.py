"""The door: nothing is paid twice, no bad reply counts as a good one, no call passes the cap."""

import asyncio
from collections.abc import Callable
from typing import Any

import engine_fakes as fakes
import pytest

from preceptor.engine.ask import JournaledAsk, Outside
from preceptor.engine.journal import Journal
from preceptor.engine.money import NANO, Caps, Price
from preceptor.errors import (
    BudgetSpent,
    Declined,
    EndpointError,
    RecipeError,
    ReplayDiverged,
    ReplyError,
    StepError,
    ToolError,
)
from preceptor.models.lane import Lane
from preceptor.models.limits import Fault, Patience
from preceptor.models.way import Way
from preceptor.types import Agent, Call, Completion, Field, Request

AGENT = Agent("tiny/4_respond/answer", "Answer: {{ question }}", fields=(Field("answer"),))
TOOLED = Agent("tiny/4_respond/sum", "Add", fields=(Field("answer"),), tools=("adder",), rounds=2)
GOOD = '{"answer": "yes"}'


def ask_of(out: Outside, item: str = "item", **settings: Any) -> JournaledAsk:
    return JournaledAsk(out, item, seed="seed", **settings)


def scripted(*replies: Any) -> Callable[[Request], Any]:
    left = list(replies)
    return lambda request: left.pop(0)


def calling(*pairs: tuple[int, int]) -> Completion:
    return Completion("", calls=tuple(Call("adder", {"a": a, "b": b}) for a, b in pairs), finish="tool_calls")


async def test_a_reply_comes_back_validated(journal: Journal) -> None:
    ask = ask_of(fakes.outside(journal, fakes.Fake(lambda _: GOOD)))
    reply = await ask(AGENT, question="Is it?")
    assert (reply.fields, reply.text) == ({"answer": "yes"}, GOOD)


async def test_what_the_journal_holds_is_never_bought_again(journal: Journal) -> None:
    model = fakes.Fake(lambda _: GOOD)
    out = fakes.outside(journal, model)
    for _ in range(3):
        await ask_of(out)(AGENT, question="Is it?")
    assert (model.paid.total(), out.recalled) == (1, 2)


async def test_two_branches_that_ask_the_same_at_once_pay_once(journal: Journal) -> None:
    model = fakes.Fake(lambda _: GOOD, seconds=0.02)
    ask = ask_of(fakes.outside(journal, model))
    await asyncio.gather(*(ask(AGENT, question="Is it?") for _ in range(20)))
    assert model.paid.total() == 1


@pytest.mark.parametrize("other", [{"question": "Was it?"}, {"question": "Is it?", "sample": 1}])
async def test_another_question_or_sample_is_another_call(journal: Journal, other: dict[str, Any]) -> None:
    model = fakes.Fake(lambda _: GOOD)
    ask = ask_of(fakes.outside(journal, model))
    await ask(AGENT, question="Is it?")
    await ask(AGENT, **other)
    assert model.paid.total() == 2


@pytest.mark.parametrize(
    ("bad", "outcome", "told"),
    [
        ('{"answer": ""}', "misfit", "does not fit"),
        ("not json", "misfit", "not JSON"),
        (Completion('{"answer": "ye', finish="length"), "cut", "cut off"),
        (Completion(GOOD, finish="length"), "cut", "cut off"),
        (Completion("", finish="content_filter"), "refused", ""),
        (Completion("  "), "empty", ""),
    ],
)
async def test_a_bad_reply_is_kept_as_what_it_is_and_asked_again(
    journal: Journal, bad: Any, outcome: str, told: str
) -> None:
    model = fakes.Fake(scripted(bad, GOOD))
    out = fakes.outside(journal, model)
    assert (await ask_of(out)(AGENT, question="Is it?")).fields == {"answer": "yes"}
    assert journal.read("SELECT outcome FROM calls ORDER BY attempt") == [(outcome,), ("ok",)]
    assert told in model.requests[1].messages[-1]["content"]
    assert (await ask_of(out)(AGENT, question="Is it?")).fields == {"answer": "yes"}
    assert model.paid.total() == 2


async def test_three_bad_replies_end_the_branch(journal: Journal) -> None:
    model = fakes.Fake(lambda _: "no")
    with pytest.raises(ReplyError, match="after 3 attempts: misfit"):
        await ask_of(fakes.outside(journal, model))(AGENT, question="Is it?")
    assert model.paid.total() == 3


async def test_a_decline_is_a_reply_and_is_remembered(journal: Journal) -> None:
    model = fakes.Fake(lambda _: '{"answer": "-", "decline": "no claim in it"}')
    out = fakes.outside(journal, model)
    for _ in range(2):
        with pytest.raises(Declined, match="no claim in it"):
            await ask_of(out)(AGENT, question="Is it?")
    assert model.paid.total() == 1


async def test_a_request_that_the_endpoint_cannot_serve_is_remembered_too(journal: Journal) -> None:
    model = fakes.Fake(lambda _: StepError("the prompt is too long for this model"))
    out = fakes.outside(journal, model)
    for _ in range(2):
        with pytest.raises(ReplyError, match="too long"):
            await ask_of(out)(AGENT, question="Is it?")
    assert model.paid.total() == 1


async def test_an_unreachable_endpoint_leaves_no_trace_and_can_be_asked_again(journal: Journal) -> None:
    model = fakes.Fake(scripted(EndpointError("down"), GOOD))
    out = fakes.outside(journal, model)
    with pytest.raises(EndpointError):
        await ask_of(out)(AGENT, question="Is it?")
    assert (await ask_of(out)(AGENT, question="Is it?")).fields == {"answer": "yes"}


async def test_cancelling_a_step_never_cancels_what_is_paid_for(journal: Journal) -> None:
    model = fakes.Fake(lambda _: GOOD, seconds=0.05)
    out = fakes.outside(journal, model)
    asking = asyncio.ensure_future(ask_of(out)(AGENT, question="Is it?"))
    await asyncio.sleep(0.02)
    asking.cancel()
    assert await out.drain(5) == 0
    assert journal.read("SELECT outcome FROM calls") == [("ok",)]


async def test_an_item_that_forgets_a_recorded_question_stops_the_run(journal: Journal) -> None:
    out = fakes.outside(journal, fakes.Fake(lambda _: GOOD))
    first = ask_of(out)
    await first(AGENT, question="Is it?")
    await first(AGENT, question="Was it?")
    first.finish()
    second = ask_of(out)
    await second(AGENT, question="Was it?")
    with pytest.raises(ReplayDiverged, match=r"1 recorded calls .* tiny/4_respond/answer"):
        second.finish()


async def test_models_are_found_by_agent_then_role_then_teacher(journal: Journal) -> None:
    models = {name: fakes.Fake(lambda _: GOOD, name=name) for name in ("teacher", "judge", "answer", "tiny/5_verify/x")}
    out = Outside(journal, models)
    cases = [("tiny/4_respond/answer", "teacher", "answer"), ("tiny/1_transform/a", "teacher", "teacher"),
             ("tiny/5_verify/y", "judge", "judge"), ("tiny/5_verify/x", "judge", "tiny/5_verify/x")]
    for name, role, expected in cases:
        assert out.model_of(Agent(name, "", role=role)).name == expected
    with pytest.raises(RecipeError, match="'weak'"):
        out.model_of(Agent("tiny/5_verify/z", "", role="weak"))
    assert ask_of(out).roles == {"teacher", "judge"}


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_agent_with_tools_uses_them_and_then_answers(journal: Journal) -> None:
    tool, model = fakes.Adder(), fakes.Fake(scripted(calling((2, 3)), calling((1, 100)), '{"answer": "5"}'))
    out = fakes.outside(journal, model, tools=[tool])
    reply = await ask_of(out)(TOOLED)
    assert reply.fields == {"answer": "5"}
    assert [m["role"] for m in reply.transcript][:4] == ["assistant", "tool", "assistant", "tool"]
    assert reply.transcript[1]["content"] == '{"sum":5}'
    assert "at most 99" in reply.transcript[3]["content"]
    again = await ask_of(out)(TOOLED)
    assert (again, tool.used, model.paid.total()) == (reply, 1, 3)


async def test_tool_rounds_are_bounded(journal: Journal) -> None:
    tool, model = fakes.Adder(), fakes.Fake(lambda r: calling((len(model.requests), 1)))
    with pytest.raises(ReplyError):
        await ask_of(fakes.outside(journal, model, tools=[tool]))(TOOLED)
    assert tool.used == TOOLED.rounds


async def test_a_step_that_brings_its_own_tools_gets_one_round_of_calls(journal: Journal) -> None:
    model = fakes.Fake(lambda _: calling((2, 3)))
    ask = ask_of(fakes.outside(journal, model))
    reply = await ask(AGENT, question="?", tools=[{"type": "function", "function": {"name": "adder"}}])
    assert [(c.name, c.arguments) for c in reply.calls] == [("adder", {"a": 2, "b": 3})]
    assert reply.calls[0].id


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("subtract", {}, "'subtract' is unknown; there are: adder"),
        ("adder", {"a": 1}, "b missing"),
        ("adder", {"a": "1", "b": 2}, "has to be integer, is str"),
        ("adder", {"a": 1, "b": 2, "c": 3}, "unknown c"),
        ("adder", {"a": True, "b": 2}, "has to be integer, is bool"),
    ],
)
async def test_a_tool_is_only_used_as_declared(
    journal: Journal, tool: str, arguments: dict[str, Any], message: str
) -> None:
    adder = fakes.Adder()
    strict = {**adder.declaration["parameters"], "additionalProperties": False}
    adder.declaration = {**adder.declaration, "parameters": strict}
    with pytest.raises(ToolError, match=message):
        await ask_of(fakes.outside(journal, fakes.Fake(), tools=[adder])).use(tool, **arguments)
    assert adder.used == 0


async def test_a_tool_that_the_skill_does_not_declare_is_refused(journal: Journal) -> None:
    out = fakes.outside(journal, fakes.Fake(), tools=[fakes.Adder()])
    with pytest.raises(ToolError, match="not declared by this skill"):
        await ask_of(out, tools=()).use("adder", a=1, b=2)


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────

DEAR = Price(prompt=100.0, completion=1000.0)


async def test_no_number_of_calls_at_once_passes_the_cap(journal: Journal, reopened: Any) -> None:
    model = fakes.Fake(lambda r: Completion(GOOD, prompt_tokens=40, completion_tokens=r.max_tokens), seconds=0.001)
    cheap = Agent(AGENT.name, AGENT.template, fields=AGENT.fields, max_tokens=100)
    out = fakes.outside(journal, model, prices={"fake": DEAR}, caps=Caps(4.0), slots=50)
    told = await asyncio.gather(*(ask_of(out)(cheap, question=str(n)) for n in range(50)), return_exceptions=True)
    assert {type(t) for t in told if isinstance(t, Exception)} == {BudgetSpent}
    cost = DEAR.of(Completion("", prompt_tokens=40, completion_tokens=100)).money
    assert out.purse.spent == model.paid.total() * cost
    assert out.purse.money.most <= 4 * NANO
    assert out.purse.spent >= 0.9 * 4 * NANO
    assert out.purse.reserved == 0
    later = reopened(journal)
    assert fakes.outside(later, model, prices={"fake": DEAR}, caps=Caps(4.0)).purse.spent == out.purse.spent


async def test_what_was_in_the_air_at_a_crash_is_charged_at_its_worst_case(journal: Journal) -> None:
    model = fakes.Fake(lambda _: GOOD, seconds=60)
    out = fakes.outside(journal, model, prices={"fake": DEAR}, caps=Caps(100.0))
    asking = asyncio.ensure_future(ask_of(out)(AGENT, question="Is it?"))
    for _ in range(100):
        await asyncio.sleep(0.005)
        if model.now:
            break
    held = journal.read("SELECT allowance FROM spend")[0][0]
    assert held >= out.purse.reserved > 1000 * AGENT.max_tokens * 1000
    asking.cancel()
    await out.drain(0)
    assert out.purse.spent == out.purse.money.most
    await journal.put()
    assert journal.read("SELECT charged FROM spend")[0][0] == out.purse.spent


async def test_a_cap_without_a_price_is_refused(journal: Journal) -> None:
    with pytest.raises(RecipeError, match="none for: fake"):
        fakes.outside(journal, fakes.Fake(), caps=Caps(1.0))


class Retrying(fakes.Fake):
    """Sends over the lane of an endpoint; the first send of one question fails, and is slept over."""

    def __init__(self, in_flight: int) -> None:
        super().__init__(lambda _: GOOD)
        self.way = Way([Lane("fake", in_flight)], notice=lambda _: None, patience=Patience(base=0.8))
        self.failed = False

    async def complete(self, request: Request) -> Completion:
        async def send(at: int) -> Completion:
            if "Ill?" in str(request.messages) and not self.failed:
                self.failed = True
                raise Fault("transient", "reset")
            return await super(Retrying, self).complete(request)

        async def alive(at: int) -> bool:
            return True

        return await self.way.call(send, lambda: "ill", alive)


async def test_a_call_that_sleeps_before_its_retry_does_not_stop_the_others(journal: Journal) -> None:
    model = Retrying(in_flight=2)
    ask = ask_of(fakes.outside(journal, model, slots=2))
    await ask(AGENT, question="Is it?")
    sleeps = asyncio.create_task(ask(AGENT, question="Ill?"))
    await asyncio.sleep(0.02)
    await asyncio.wait_for(asyncio.gather(*(ask(AGENT, question=f"And {n}?") for n in range(20))), 2)
    assert model.failed
    assert not sleeps.done()
    assert model.paid.total() == 21
    assert (await asyncio.wait_for(sleeps, 10)).fields == {"answer": "yes"}
