"""What may have been billed for nothing is counted before it is sent again; what was refused is not."""

import pytest

from models.endpoint import Says, endpoint, refused, said
from preceptor.models import open_model
from preceptor.models.again import AGAIN
from preceptor.types import Request


@pytest.mark.parametrize(
    ("trouble", "counted"),
    [
        ([Says(hang_up=True), Says(hang_up=True)], 2),
        ([Says(b'{"cho')], 1),
        ([Says({"choices": []})], 1),
        ([Says(delay=2.0)], 1),
        ([Says(b"busy", 503), Says({}, 500)], 0),
        ([refused("slow down", 429, **{"Retry-After": "0"})], 0),
    ],
)
async def test_each_send_whose_answer_was_lost_counts_once(trouble: list[Says], counted: int) -> None:
    lost = 0

    async def again() -> None:
        nonlocal lost
        lost += 1

    async with endpoint(said("first"), *trouble, said("at last")) as there:
        one = open_model({"url": there.url, "model": "m", "timeout": 0.5})
        ask = Request("a/b", ({"role": "user", "content": "what?"},), max_tokens=9)
        token = AGAIN.set(again)
        try:
            await one.complete(ask)
            reply = await one.complete(Request("a/b", ask.messages, max_tokens=9, sample=1))
        finally:
            AGAIN.reset(token)
            await one.close()
    assert reply.content == "at last"
    assert lost == counted
