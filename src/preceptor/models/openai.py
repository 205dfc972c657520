"""Any OpenAI-compatible endpoint: one thin client, which learns what the endpoint can take and says what it left out.

Request ─▶ fitted body ─▶ POST /chat/completions ─▶ Completion
              ▲                    │ 400 that names a parameter, the schema or the tools
              ╰──── Fit mended ◀───╯   (one notice; remembered for the model)
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

import orjson

from preceptor.errors import EndpointError, RecipeError, ReplyError
from preceptor.models import fit as fits
from preceptor.models import reply as replies
from preceptor.models.again import covered
from preceptor.models.lane import Lane
from preceptor.models.limits import PATIENCE, Fault, Notice, Patience, classify, retry_after
from preceptor.models.prices import Price
from preceptor.models.way import Way
from preceptor.types import Completion, Request

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

BODY_LIMIT = 32 * 2**20
CONNECT_SECONDS = 10.0
MENDS = 12


class Secret:
    """A key that shows in no repr, no error and no log; `reveal` is called where it is sent, and nowhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def scrub(self, said: str) -> str:
        """`said` without the key, should an endpoint echo it."""
        return said.replace(self._value, "***") if self._value else said

    def within(self, said: bytearray) -> bool:
        """Whether an endpoint echoes the key there."""
        return bool(self._value) and self._value.encode() in said

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of a recipe: where a model is, and what it is to be sent."""

    url: str
    model: str
    key_env: str = ""
    in_flight: int = 8
    """Most calls on the wire at once; how many of them the endpoint takes is found out."""
    rpm: float = 0.0
    """Requests a minute that the key allows; 0: what the endpoint's headers say, if anything."""
    tpm: float = 0.0
    """Tokens a minute, the same."""
    name: str = ""
    """Of the endpoint, among several of one model; empty: its host."""
    weight: float = 1.0
    """Its share of the documents, among several."""
    means: str = ""
    """Pins how replies are held to their schema; empty: found out."""
    tools: Literal["native", "action", ""] = ""
    effort: str = ""
    """Sent as `reasoning_effort`."""
    reasoning_budget: int = 0
    """Tokens of reasoning: sent as `thinking_token_budget`, and added to each request's own bound."""
    max_completion_tokens: int = 0
    """Replaces every request's own bound (reasoning included), under that name."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    price: Price | None = None
    label_calls: bool = False
    """Sends metadata {"agent": …} with each call."""
    timeout: float = 0.0
    """Seconds a call may take; 0: thirty, and a tenth for each token that may be written."""


class OpenAIModel:
    """A model behind an OpenAI-compatible URL."""

    paced = True
    """It holds its own calls to `in_flight` on the wire."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        notice: Notice = lambda said: None,
        environ: Mapping[str, str] = os.environ,
        patience: Patience = PATIENCE,
    ) -> None:
        self.name = endpoint.model
        self.endpoint = replace(endpoint, url=base_url(endpoint.url))
        self.price = endpoint.price
        self.fit = fits.Fit(
            means=endpoint.means or fits.LADDER[0],
            tools=endpoint.tools or "native",
            token_key="max_completion_tokens" if endpoint.max_completion_tokens else "max_tokens",
        )
        self.lane = Lane(
            endpoint.model,
            endpoint.in_flight,
            rpm=endpoint.rpm,
            tpm=endpoint.tpm,
            weight=endpoint.weight,
            patience=patience,
        )
        self.way = Way([self.lane], notice=notice, patience=patience)
        self._notice = notice
        self._noticed: set[str] = set()
        self._key = _key(endpoint, environ)
        self._proxy = _proxy(self.endpoint.url)
        self._session: ClientSession | None = None
        self._alive_at = float("-inf")
        self._unheld = 0

    async def complete(self, request: Request) -> Completion:
        try:
            answer = await self.way.call(
                lambda at: self.asked(request),
                lambda: fits.request_digest(request),
                lambda at: self.alive(),
                used=used,
                tokens=self.worst(request),
            )
        except Fault as fault:
            if fault.kind == "content":
                return Completion(content="", finish="content_filter", model=self.name)
            raise await self.refusal(fault) from None
        return self.taken(answer, request)

    def taken(self, answer: tuple[Completion, fits.Fit], request: Request) -> Completion:
        """The completion as the engine knows it, whatever the endpoint was sent for it."""
        completion = fits.unfitted(answer[0], request, answer[1])
        self._watch(completion, request, answer[1])
        return completion

    def why(self) -> str:
        """`waiting 12 s for the rate limit of m`, where nothing is sent; else empty."""
        return self.way.why()

    def worst(self, request: Request) -> int:
        """Tokens that a bucket sets aside for `request`; counted only where there is one."""
        if self.lane.buckets.tokens is None:
            return 0
        return replies.estimated(sum(len(str(m.get("content") or "")) for m in request.messages)) + self.most_tokens(request)

    async def close(self) -> None:
        self.way.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def most_tokens(self, request: Request) -> int:
        """The most tokens that a completion of this request can be billed for."""
        return self.endpoint.max_completion_tokens or request.max_tokens + self.endpoint.reasoning_budget

    async def models(self) -> list[str]:
        """The names of the models that the endpoint lists; empty where it does not tell."""
        try:
            status, body, _ = await self._http("GET", "/models", None, 10.0)
        except Fault:
            return []
        listed = body.get("data") if status == 200 and isinstance(body, Mapping) else None
        return [str(m["id"]) for m in listed if isinstance(m, Mapping) and "id" in m] if isinstance(listed, list) else []

    def body(self, request: Request, fit: fits.Fit) -> dict[str, Any]:
        """What is sent for `request` to an endpoint that takes `fit`."""
        body: dict[str, Any] = {"model": self.endpoint.model, **fits.fitted(request, fit)}
        body["temperature"] = request.temperature
        body[fit.token_key] = self.most_tokens(request)
        if self.endpoint.effort:
            body["reasoning_effort"] = self.endpoint.effort
        if self.endpoint.reasoning_budget:
            body["thinking_token_budget"] = self.endpoint.reasoning_budget
        if self.endpoint.label_calls:
            body["metadata"] = {"agent": request.agent}
        body.update(self.endpoint.extra_body)
        return {key: value for key, value in body.items() if key not in fit.left_out or key == fit.token_key}

    async def asked(self, request: Request) -> tuple[Completion, fits.Fit]:
        """One try. Where its answer was lost on the way it may have been billed: it is counted before there is another."""
        try:
            return await self._asked(request)
        except Fault as fault:
            if fault.unseen:
                await covered()
            raise

    async def _asked(self, request: Request) -> tuple[Completion, fits.Fit]:
        """One send, and as many more as it takes to learn what the endpoint refuses in it."""
        for _ in range(MENDS):
            fit = self.fit
            body = self.body(request, fit)
            began = time.monotonic()
            status, answer, raw = await self._http("POST", "/chat/completions", body, self._seconds(request))
            if status == 200:
                try:
                    return self._read(answer, raw, request, time.monotonic() - began), fit
                except Fault as fault:
                    fault.unseen = fault.kind == "transient" and fault.status in (0, 200)
                    raise
            said = self._key.scrub(replies.error_text(answer, raw))
            if status not in (400, 422) or _too_long(said):
                raise Fault(classify(status, said), said, status=status)
            if classify(status, raw) == "content":
                raise Fault("content", said, status=status)
            if self.fit == fit and not self._mend(fit, body, answer, raw):
                raise Fault("permanent", said, status=status)
        raise Fault("permanent", f"refused {MENDS} times over, whatever was left out", status=400)

    def _mend(self, fit: fits.Fit, body: Mapping[str, Any], answer: Any, raw: str) -> bool:
        pinned = self.endpoint.means and "response_format" in body
        mended = fits.mended(fit, body, raw)
        if mended is None or (pinned and mended[0].means != fit.means):
            return False
        if self.endpoint.tools == "native" and mended[0].tools != "native":
            return False
        self.fit, change = mended
        self._once(f"{self.name}: {change} (it said: {self._key.scrub(replies.error_text(answer, raw))})")
        return True

    def _read(self, answer: Any, raw: str, request: Request, seconds: float) -> Completion:
        if answer is None:
            if "<html" in raw[:2000].lower() and not self.lane.answered:
                raise Fault("permanent", "the address answers with a web page", status=404)
            raise Fault("transient", f"the reply is no JSON: {self._key.scrub(replies.excerpt(raw, 120))!r}")
        error = answer.get("error") if isinstance(answer, Mapping) else None
        if error and not answer.get("choices"):
            code = error.get("code") if isinstance(error, Mapping) else None
            status = code if isinstance(code, int) and code >= 400 else 500
            said = self._key.scrub(replies.error_text(answer, raw))
            raise Fault(classify(status, said), said, status=status)
        completion = replies.completion(answer, request, seconds)
        if not replies.counted(answer):
            self._once(f"{self.name}: the endpoint reports no usage; tokens are estimated from characters")
        if completion.model and not _same_model(self.endpoint.model, completion.model):
            self._once(f"asked for {self.endpoint.model}, but {completion.model!r} answers at {self._where()}")
        return completion

    def _watch(self, completion: Completion, request: Request, used: fits.Fit) -> None:
        """Some servers take a `response_format` and ignore it: three whole replies in a row that are no JSON at all
        lead one rung down, as a refusal would."""
        asked = (request.schema is not None and not request.tools) and used.means != "instructions"
        if not asked or completion.finish != "stop" or not completion.content.strip():
            return
        self._unheld = 0 if fits.json_in(completion.content) is not None else self._unheld + 1
        if self._unheld >= 3 and used == self.fit and not self.endpoint.means:
            self._unheld = 0
            self.fit = replace(self.fit, means="instructions")
            self._once(f"{self.name}: it does not hold to `response_format`; schemas are asked for in the prompt alone")

    async def _http(self, method: str, path: str, body: Any, seconds: float) -> tuple[int, Any, str]:
        """(status, parsed body or None, body as text). Raises Fault for what no body tells."""
        import aiohttp

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        url = self.endpoint.url + path
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        data = None if body is None else orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
        try:
            async with self._open().request(
                method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False, proxy=self._proxy
            ) as response:
                return await self._taken(response)
        except TimeoutError as error:
            lost = Fault("transient", f"no answer from {self._where()} within {seconds:.0f} s", status=408)
            lost.unseen = not isinstance(error, aiohttp.ConnectionTimeoutError)
            raise lost from None
        except (aiohttp.ClientError, OSError) as error:
            lost = Fault("transient", f"{self._where()}: {self._key.scrub(str(error)) or type(error).__name__}")
            lost.unseen = not isinstance(error, aiohttp.ClientConnectorError)
            raise lost from None

    async def _taken(self, response: "ClientResponse") -> tuple[int, Any, str]:
        if 300 <= response.status < 400:
            # Never followed: the key would go with it to whatever host it names.
            target = response.headers.get("Location", "another address")
            raise Fault("permanent", f"the address redirects to {_bare(target)}; write that in `url`", status=response.status)
        whole = bytearray()
        async for chunk in response.content.iter_chunked(2**16):
            whole += chunk
            if len(whole) > BODY_LIMIT:
                response.close()
                raise Fault("permanent", f"a reply of over {BODY_LIMIT // 2**20} MB", status=response.status)
        wall = time.time()
        self.lane.heard(response.status, response.headers, time.monotonic(), wall)
        if response.status == 200 and not self._key.within(whole) and (parsed := _object(whole)) is not None:
            return 200, parsed, ""
        raw = self._key.scrub(whole.decode("utf-8", "replace"))  # an endpoint may send it back, and replies are stored
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError:
            parsed = None
        kind = classify(response.status, raw)
        if response.status >= 400 and kind not in ("permanent", "content"):
            said = self._key.scrub(replies.error_text(parsed, raw))
            wait = retry_after(response.headers, wall)
            raise Fault(kind, f"{response.status} {said}", status=response.status, wait=wait)
        return response.status, parsed, raw

    def _open(self) -> "ClientSession":
        import aiohttp

        if self._session is None:
            # The lane bounds the connections. No cookies: a load balancer's would pin us to one replica.
            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def alive(self) -> bool:
        """Whether the endpoint answers a question of one token: tells an ill request from an ill endpoint."""
        now = time.monotonic()
        if now - self._alive_at < 5:
            return True
        small = Request(agent="alive", messages=({"role": "user", "content": "ok"},), max_tokens=1)
        try:
            status, _, _ = await self._http("POST", "/chat/completions", self.body(small, self.fit), 30.0)
        except Fault:
            return False
        self._alive_at = time.monotonic() if status == 200 else float("-inf")
        return status == 200

    async def refusal(self, fault: Fault) -> EndpointError | ReplyError:
        """What a user reads when the endpoint refuses for good."""
        where, named = self._where(), f"`{self.endpoint.key_env}`" if self.endpoint.key_env else ""
        if fault.status in (401, 403):
            what = f"check the environment variable {named}" if named else "it wants a key: name its variable in `key_env`"
            return EndpointError(f"{where} refuses the key for {self.name} ({fault.status}: {fault}); {what}")
        if fault.status in (402, 429):
            return EndpointError(f"{where} has no credit left for the key in {named or 'use'} ({fault})")
        if fault.status == 404 or 300 <= fault.status < 400:
            return EndpointError(
                f"{where} has no model {self.name!r} to talk to ({fault.status}: {fault}); {await self._hint()}"
            )
        if _too_long(str(fault)):
            return ReplyError(f"the prompt is too long for {self.name}: {fault}")
        if fault.status == 200:
            return ReplyError(f"{self.name} at {where} sends {fault}")
        said = f"{self.name} at {where} refuses the request ({fault.status}: {fault})"
        if self.lane.answered:
            return ReplyError(said)
        return EndpointError(f"{said}; it has answered none so far: check `model`, `extra_body` and the other settings")

    async def _hint(self) -> str:
        listed = await self.models()
        if listed:
            return f"it lists: {', '.join(listed[:12])}{' …' if len(listed) > 12 else ''}"
        path = urlsplit(self.endpoint.url).path
        return "check `url` and `model`" if "/v" in path else f'most endpoints end in /v1: try url = "{self._where()}/v1"'

    def _seconds(self, request: Request) -> float:
        return self.endpoint.timeout or 30 + self.most_tokens(request) / 10

    def _where(self) -> str:
        return _bare(self.endpoint.url)

    def _once(self, said: str) -> None:
        about = said.split(" (it said: ")[0]
        if about not in self._noticed:
            self._noticed.add(about)
            self._notice(said)


def used(answer: tuple[Completion, fits.Fit]) -> tuple[int, int]:
    """Tokens of an answer, all and those that were written."""
    return answer[0].prompt_tokens + answer[0].completion_tokens, answer[0].completion_tokens


def _object(body: bytearray) -> dict[str, Any] | None:
    """The JSON object that a body is, if it is one."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None


def base_url(url: str) -> str:
    """The address that `/chat/completions` is put behind, from whatever form the user has it in."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecipeError(f'url = {url!r} is no address; write it like "https://host/v1" or "http://localhost:8000/v1"')
    if parts.username or parts.password:
        raise RecipeError(
            'url holds a user name or password; put the key in an environment variable and name it: key_env = "…"'
        )
    path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/chat").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _bare(url: str) -> str:
    """An address fit to be shown: without user, query and fragment, where keys hide."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _key(endpoint: Endpoint, environ: Mapping[str, str]) -> Secret:
    if not endpoint.key_env:
        return Secret("")
    value = environ.get(endpoint.key_env, "").strip()
    if not value:
        raise RecipeError(
            f"the recipe takes the key for {endpoint.model} from the environment variable {endpoint.key_env}, "
            f"which is not set; type: export {endpoint.key_env}=…"
        )
    return Secret(value)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for `url`. Not aiohttp's own way, which reads ~/.netrc as well."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    return proxy if proxy and not proxy_bypass(parts.hostname or "") else None


def _too_long(said: str) -> bool:
    lowered = said.lower()
    words = ("maximum context length", "context_length_exceeded", "context length", "context window", "context size")
    return any(w in lowered for w in words) or ("prompt is too long" in lowered)


def _same_model(asked: str, answered: str) -> bool:
    """Equal, but for a folder or provider before the name and a date or tag behind it."""
    one, other = asked.lower().rstrip("/").rsplit("/", 1)[-1], answered.lower().rstrip("/").rsplit("/", 1)[-1]
    return one.startswith(other) or other.startswith(one)
