"""One model behind several endpoints, on real sockets and by the recipe."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from models.endpoint import Says, endpoint, refused, said
from preceptor.errors import EndpointError, RecipeError
from preceptor.models import open_model, price_of, probe
from preceptor.models.endpoints import Endpoints
from preceptor.recipe import recipe_of
from preceptor.types import Request

KEYS = {"ONE": "sk-one", "TWO": "sk-two", "THREE": "sk-three"}


def request(document: str = "", sample: int = 0) -> Request:
    slots = {"document": SimpleNamespace(id=document)} if document else {}
    return Request("pack/4_respond/answer", ({"role": "user", "content": f"Well? {sample}"},), sample=sample, slots=slots)


def pool(notices: list[str], **spec: Any) -> Endpoints:
    made = open_model({"model": "m", **spec}, notice=notices.append, environ=KEYS)
    assert isinstance(made, Endpoints)
    return made


async def test_calls_about_one_document_meet_one_endpoint_and_both_are_used() -> None:
    async with endpoint() as one, endpoint() as two:
        made = pool([], endpoints=[{"url": one.url}, {"url": two.url}])
        for document in range(30):
            before = len(one.sent)
            for sample in range(3):
                await made.complete(request(f"document {document}", sample))
            assert len(one.sent) - before in (0, 3)
        await made.close()
        assert min(len(one.sent), len(two.sent)) >= 15


async def test_b23_of_three_keys_on_one_url_one_is_revoked_and_the_others_carry_on() -> None:
    """B23, on sockets: the key is named, not shown."""
    notices: list[str] = []

    def answers(body: dict[str, Any]) -> Says:
        return refused("Incorrect API key sk-two", 401) if revoked(there.headers[-1]) else said()

    def revoked(headers: Any) -> bool:
        return bool(headers["Authorization"] == "Bearer sk-two")

    async with endpoint(by=answers) as there:
        made = pool(notices, url=there.url, in_flight=4, endpoints=[{"key_env": name} for name in KEYS])
        for n in range(40):
            await made.complete(request(f"document {n}"))
        await made.close()
        assert sum(map(revoked, there.headers)) == 1
    assert len(notices) == 1
    assert "(TWO) is out of use" in notices[0]
    assert "sk-two" not in notices[0]


async def test_when_none_is_left_the_run_stops_and_says_each() -> None:
    async with endpoint(refused("bad key", 401)) as one, endpoint(refused("no such model", 404)) as two:
        made = pool([], endpoints=[{"url": one.url, "name": "a"}, {"url": two.url, "name": "b"}])
        with pytest.raises(EndpointError, match=r"No endpoint is left \(a: bad key; b: no such model\)"):
            await asyncio.gather(*(made.complete(request(f"document {n}")) for n in range(20)))
        await made.close()


async def test_models_tells_permits_and_health_of_each() -> None:
    told = said().body
    limited = Says(told, headers={"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "599"})
    async with endpoint(limited) as one:
        made = pool([], endpoints=[{"url": one.url, "in_flight": 3}])
        found = await probe(made.members[0])
        await made.close()
    assert found.permits == "3 of 3 at once, 600 requests a minute"
    assert found.health == "answers"


def test_a_price_of_several_is_the_dearest_and_none_where_one_has_none() -> None:
    two = [{"url": "http://a", "price": {"input": 1, "output": 4}}, {"url": "http://b", "price": {"input": 2, "output": 3}}]
    dearest = price_of({"model": "m", "endpoints": two})
    assert dearest is not None
    assert (dearest.input, dearest.output) == (2, 4)
    assert price_of({"model": "m", "endpoints": [*two, {"url": "http://c"}]}) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"endpoints": []}, "write a list"),
        ({"endpoints": [{"url": "http://a/v1", "wieght": 2}]}, "did you mean 'weight'"),
        ({"endpoints": [{"url": "http://a/v1", "weight": 0}]}, "more than zero"),
        ({"endpoints": [{"url": "http://a/v1", "key_env": "NONE"}]}, "NONE, which is not set"),
    ],
)
def test_a_mistake_in_the_list_is_named(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        open_model({"model": "m", **spec}, environ=KEYS)


def test_a_run_may_go_on_with_other_endpoints_of_the_same_model() -> None:
    one = {"url": "http://a/v1", "model": "m"}
    several = {"model": "m", "endpoints": [{"url": "http://a/v1", "weight": 2}, {"url": "http://b/v1", "rpm": 60}]}
    assert recipe_of({"teacher": one}).pinned() == recipe_of({"teacher": several}).pinned()
    other = {"endpoints": [{**one}, {"url": "http://b/v1", "model": "n"}]}
    assert recipe_of({"teacher": one}).pinned() != recipe_of({"teacher": other}).pinned()
