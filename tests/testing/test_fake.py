"""The door in memory behaves as the real one where a test needs it to."""

import pytest

from preceptor.errors import Declined, PackError, ReplyError, ToolError
from preceptor.testing import FakeAsk
from preceptor.types import Agent, Field

ANSWER = Agent("pack/4_respond/answer", "{{ task }}", fields=(Field("final", max=9),))


async def test_a_reply_comes_back_with_its_fields() -> None:
    ask = FakeAsk({"*/answer": {"final": "four"}})
    assert (await ask(ANSWER, task="2 + 2")).fields == {"final": "four"}
    assert ask.requests[0].messages[-1]["content"].startswith("2 + 2")


@pytest.mark.parametrize(
    ("said", "error"),
    [({"final": "much too long"}, ReplyError), ("no JSON", ReplyError), ({"final": "x", "decline": "no sum in it"}, Declined)],
)
async def test_a_reply_that_does_not_fit_or_declines_is_an_error(said: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        await FakeAsk({"*/answer": said})(ANSWER, task="2 + 2")


async def test_a_slot_that_nobody_fills_is_named() -> None:
    with pytest.raises(PackError, match="task"):
        await FakeAsk({"*/answer": {"final": "four"}})(ANSWER)


async def test_tools_are_values_or_functions_and_every_use_is_kept() -> None:
    ask = FakeAsk(tools={"fixed": 7, "double": lambda n: 2 * n})
    assert [await ask.use("fixed"), await ask.use("double", n=4)] == [7, 8]
    assert [(u.tool, u.arguments) for u in ask.uses] == [("fixed", {}), ("double", {"n": 4})]
    with pytest.raises(ToolError, match="fixed, double"):
        await ask.use("triple")
