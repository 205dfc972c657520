"""Search at an address that the recipe allows: one GET, no other host, no private network, small and timed."""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from preceptor.errors import RecipeError, ToolError
from preceptor.tools.search import MOST_QUERY, MOST_RESULTS, read_query

if TYPE_CHECKING:  # aiohttp takes a third of a second to import: only a search that is run pays that
    from aiohttp.abc import AbstractResolver, ResolveResult
    from yarl import URL

MOST_BYTES = 1 << 20
MOST_HOPS = 5
SECONDS = 15.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to all its addresses."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to search, as the recipe says it."""

    url: str
    """With `{query}` and perhaps `{k}`, such as `https://search.example/api?q={query}&n={k}`."""
    hosts: tuple[str, ...] = ()
    """Hosts that redirects may lead to beside the url's own. `host:port` also allows that port, and a private network."""
    results: str = "results"
    """Where the JSON reply holds the list: keys with dots between; empty where the reply is the list."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Our names (id, title, source, snippet, score) to the reply's, where they differ; keys with dots between."""
    key_env: str = ""
    """The environment variable that holds a key, sent as a bearer token to the url's own origin only."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class AddressSearch:
    """`search(query, k=5, exclude=[])` → a list of `{id, title, source, snippet, score}` from an allowed address."""

    name = "search"

    def __init__(self, address: Address, resolve: Resolve = system_resolve) -> None:
        from yarl import URL

        template = URL(address.url.replace("{query}", "q").replace("{k}", "5"))
        if "{query}" not in address.url or template.scheme not in ("http", "https") or not template.host:
            raise RecipeError(f"search.url = {address.url!r}: give an http(s) address with {{query}} in it")
        if "{" in address.url.partition("://")[2].partition("/")[0].partition("?")[0]:
            raise RecipeError(f"search.url = {address.url!r}: the query may not choose the host")
        self.address, self._resolve = address, resolve
        own = template.host if template.is_default_port() else f"{template.host}:{template.port}"
        # The recipe's own address counts as named: host:port where it says a port.
        self.allowed = frozenset(name.lower().rstrip(".") for name in (*address.hosts, own))
        parts = (address.url, address.results, sorted(address.fields.items()))
        self.version = f"address-{blake2b(repr(parts).encode(), digest_size=8).hexdigest()}"
        self.declaration: Mapping[str, Any] = {
            "name": "search",
            "description": "Search by words. Returns short extracts with their source.",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": f"words to look for, at most {MOST_QUERY} characters"},
                    "k": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "description": "how many results"},
                },
                "required": ["query"],
                "additionalProperties": False,
            },
        }

    async def __call__(self, **arguments: Any) -> list[dict[str, Any]]:
        from aiohttp import ClientError
        from yarl import URL

        takes = f"search takes query (up to {MOST_QUERY} characters) and k (1 to {MOST_RESULTS})"
        query, k, exclude = read_query(takes, **arguments)
        filled = self.address.url.replace("{query}", quote(query, safe="")).replace("{k}", str(k + len(exclude)))
        try:
            async with asyncio.timeout(SECONDS):
                body = await self._got(URL(filled, encoded=True))
        except TimeoutError:
            raise ToolError(f"search: {self._host()} did not answer within {SECONDS:g} seconds") from None
        except (ClientError, OSError, ValueError) as error:
            raise ToolError(f"search: {self._host()} could not be read ({type(error).__name__})") from None
        found = [self._entry(entry) for entry in self._listed(body)]
        return [entry for entry in found if not {entry["id"], entry["source"]} & exclude][:k]

    def _host(self) -> str:
        return self.address.url.partition("://")[2].partition("/")[0].partition("?")[0].partition(":")[0]

    async def _got(self, url: "URL") -> bytes:
        """The body behind `url`; each hop is vetted as the first was."""
        from yarl import URL

        first = (url.scheme, url.host, url.port)
        for _ in range(MOST_HOPS + 1):
            status, location, body = await self._hop(url, with_key=(url.scheme, url.host, url.port) == first)
            if status not in (301, 302, 303, 307, 308):
                break
            if not location:
                raise ToolError("search: a redirect that leads nowhere")
            url = url.join(URL(location))
        else:
            raise ToolError(f"search: more than {MOST_HOPS} redirects")
        if status != 200:
            raise ToolError(f"search: {url.host} answered with status {status}")
        return body

    async def _hop(self, url: "URL", *, with_key: bool) -> tuple[int, str, bytes]:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        addresses = await self._vetted(url)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.address.key_env and with_key:
            headers["Authorization"] = f"Bearer {os.environ.get(self.address.key_env, '')}"
        connector = TCPConnector(resolver=_only(addresses), use_dns_cache=False)
        session = ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=SECONDS),
            trust_env=False, auto_decompress=False,
        )  # fmt: skip
        async with session, session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise ToolError("search: the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise ToolError(f"search: the answer is larger than {MOST_BYTES:,} bytes")
            return answer.status, answer.headers.get("Location", ""), bytes(body)

    async def _vetted(self, url: "URL") -> list[str]:
        """The addresses that this url may be fetched from, resolved once; ToolError where it may not be fetched."""
        host, port = (url.host or "").lower().rstrip("."), url.port
        if url.scheme not in ("http", "https") or not host or url.user or url.password:
            raise ToolError("search: only plain http and https addresses are fetched")
        named = f"{host}:{port}" in self.allowed or f"[{host}]:{port}" in self.allowed
        if not named and (host not in self.allowed or port not in (80, 443)):
            there = ", ".join(sorted(self.allowed))
            raise ToolError(f"search: {host}:{port} is not an address that the recipe allows; there are: {there}")
        addresses = list(await self._resolve(host, int(port or 443)))
        closed = [address for address in addresses if not public(address)]
        if not addresses or (closed and not named):
            raise ToolError(f'search: {host} is in a private network; `hosts = ["{host}:{port}"]` would allow it')
        return addresses

    def _listed(self, body: bytes) -> list[Mapping[str, Any]]:
        try:
            value: Any = orjson.loads(body)
        except ValueError:
            raise ToolError("search: the answer is not JSON") from None
        value = _at(value, self.address.results)
        if not isinstance(value, list):
            raise ToolError(f"search: the answer has no list at {self.address.results!r}")
        return [entry for entry in value if isinstance(entry, dict)]

    def _entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name in ("id", "title", "source", "snippet"):
            value = _at(entry, self.address.fields.get(name, name))
            told[name] = value[:1_000] if isinstance(value, str) else "" if value is None else str(value)[:1_000]
        score = _at(entry, self.address.fields.get("score", "score"))
        told["id"] = told["id"] or told["source"]
        return {**told, "score": score if isinstance(score, int | float) and not isinstance(score, bool) else 0.0}


def _only(addresses: Sequence[str]) -> "AbstractResolver":
    """Answers with the addresses that were vetted: a name resolved a second time may mean another machine."""
    from aiohttp.abc import AbstractResolver

    class Vetted(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> "list[ResolveResult]":
            return [_known(host, port, address) for address in addresses]

        async def close(self) -> None:
            return None

    return Vetted()


def _known(host: str, port: int, address: str) -> "ResolveResult":
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST
    return {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": flags}


_TRANSLATED = [ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")]


def public(address: str) -> bool:
    """True for an address of the public internet, also where it is written inside another (mapped, 6to4, NAT64)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return public(str(inner))
        if any(ip in network for network in _TRANSLATED):
            return public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


def _at(value: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        value = value.get(key) if isinstance(value, dict) else None
    return value
