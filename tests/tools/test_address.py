"""Search at an address reaches what the recipe names, and nothing else that anybody talks it into."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from preceptor.errors import RecipeError, ToolError
from preceptor.tools import Address, AddressSearch
from preceptor.tools import address as module
from preceptor.tools.address import public


class Site:
    """A loopback server that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Any = {"data": {"hits": [{"name": "A", "link": "http://a", "text": "alpha"}, {"name": "B"}, "odd"]}}
        self.hops: dict[str, str] = {}

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((str(request.rel_url), dict(request.headers)))
        if request.path in self.hops:
            raise web.HTTPFound(self.hops[request.path])
        if request.path == "/slow":
            await asyncio.sleep(5)
        if request.path == "/large":
            return web.Response(body=b"[" + b" " * (2 << 20) + b"]")
        if request.path == "/packed":
            return web.Response(body=b"[]", headers={"Content-Encoding": "gzip"})
        if request.path == "/text":
            return web.Response(text="<html>")
        return web.json_response(self.answer)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    held = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", held.get)
    async with TestServer(app, host="127.0.0.1") as server:
        held.base = f"http://127.0.0.1:{server.port}"  # type: ignore[attr-defined]
        held.port = server.port  # type: ignore[attr-defined]
        yield held


FIELDS = {"title": "name", "source": "link", "snippet": "text"}


def search_at(site: Any, path: str = "/s?q={query}&n={k}", **more: Any) -> AddressSearch:
    return AddressSearch(Address(site.base + path, results="data.hits", fields=FIELDS, **more))


async def test_results_are_read_from_where_the_recipe_says(site: Any) -> None:
    found = await search_at(site)(query="a & b=c/../x?", k=2)
    assert found[0] == {"id": "http://a", "title": "A", "source": "http://a", "snippet": "alpha", "score": 0.0}
    assert [hit["title"] for hit in found] == ["A", "B"]
    assert [path for path, _ in site.asked] == ["/s?q=a%20%26%20b%3Dc%2F..%2Fx%3F&n=2"]


async def test_an_excluded_source_is_left_out(site: Any) -> None:
    assert [hit["title"] for hit in await search_at(site)(query="x", exclude="http://a")] == ["B"]


async def test_the_key_goes_to_the_own_origin_only(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_KEY", "sk-canary")
    other = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", other.get)
    async with TestServer(app, host="127.0.0.1") as server:
        site.hops["/s"] = f"http://127.0.0.1:{server.port}/there"
        await search_at(site, key_env="SEARCH_KEY", hosts=(f"127.0.0.1:{server.port}",))(query="x")
    assert site.asked[0][1]["Authorization"] == "Bearer sk-canary"
    assert "Authorization" not in other.asked[0][1]


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:1/x", "http://169.254.169.254/latest", "file:///etc/passwd", "http://[::1]/", "http://2130706433/",
     "http://good@127.0.0.1/", "http://localhost/", "gopher://x/", "//evil.example/", "https://evil.example:8443/"],
)  # fmt: skip
async def test_a_redirect_leads_only_to_where_the_recipe_allows(site: Any, target: str) -> None:
    site.hops["/s"] = target
    with pytest.raises(ToolError, match=r"not an address that the recipe allows|only plain http"):
        await search_at(site)(query="x")
    assert len(site.asked) == 1


async def test_redirects_end(site: Any) -> None:
    site.hops["/s"] = "/s"
    with pytest.raises(ToolError, match="more than 5 redirects"):
        await search_at(site)(query="x")
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "172.16.0.1", "192.168.1.1",
     "100.64.0.1", "fc00::1", "fe80::1%eth0", "fd00:ec2::254", "224.0.0.1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::",
     "240.0.0.1", "255.255.255.255", "::", "not an address"],
)  # fmt: skip
async def test_a_public_name_with_a_private_address_is_refused(address: str) -> None:
    assert not public(address)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", address]  # one of them is enough

    with pytest.raises(ToolError, match="private network"):
        await AddressSearch(Address("http://search.example/?q={query}"), resolve)(query="x")


def test_public_addresses_are_public() -> None:
    assert public("93.184.215.14")
    assert public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


async def test_a_name_is_resolved_once_and_the_vetted_address_is_used(site: Any) -> None:
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    name = f"search.example:{site.port}"
    search = AddressSearch(Address(f"http://{name}/s?q={{query}}", results="data.hits", fields=FIELDS), rebinding)
    assert len(await search(query="x")) == 2
    assert asked == ["search.example"]


async def test_loopback_needs_its_port_named() -> None:
    with pytest.raises(ToolError, match=r'hosts = \["127\.0\.0\.1:80"\]'):
        await AddressSearch(Address("http://127.0.0.1/?q={query}"))(query="x")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/large?q={query}", "larger than"),
        ("/packed?q={query}", "compressed"),
        ("/text?q={query}", "not JSON"),
        ("/slow?q={query}", "did not answer within"),
    ],
)
async def test_answers_that_are_too_large_slow_or_odd_are_refused(
    site: Any, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.5)
    with pytest.raises(ToolError, match=said):
        await search_at(site, path)(query="x")


async def test_a_list_that_is_not_there_is_named(site: Any) -> None:
    with pytest.raises(ToolError, match=r"no list at 'wrong\.place'"):
        await AddressSearch(Address(site.base + "/s?q={query}", results="wrong.place"))(query="x")


async def test_an_address_that_does_not_answer_is_named() -> None:
    with pytest.raises(ToolError, match=r"127\.0\.0\.1 could not be read"):
        await AddressSearch(Address("http://127.0.0.1:9/?q={query}"))(query="x")


async def test_the_environments_proxy_is_not_used(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(await search_at(site)(query="x")) == 2


@pytest.mark.parametrize(
    "url", ["http://x.example/", "ftp://x.example/{query}", "http://{query}/", "http://{query}.x.example/?q={query}", "{query}"]
)
def test_an_address_that_lets_the_query_choose_the_host_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match=r"search\.url"):
        AddressSearch(Address(url))
