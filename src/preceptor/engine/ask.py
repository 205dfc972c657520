"""The door from a step to the outside: render, remember, pay, read; then, if need be, ask again.

    ask(agent, **slots) ─▶ prompt ─▶ in the journal? ─yes─▶ reply
                                          │ no
                                          ╰─▶ a free slot ─▶ worst case set aside ─▶ model ─▶ journal ─▶ reply

The key of a call is its item and the logical request, before it is fitted to an endpoint: address, key name and the
means of enforcing a schema are evidence, not identity. The engine owns the call: cancelling a step never cancels what
is paid for.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from time import time
from typing import Any, Protocol, TypeVar, runtime_checkable

from preceptor import prompts
from preceptor.arguments import fault, parameters
from preceptor.draws import PIECE
from preceptor.engine.journal import Journal, Write, clean, pack, unpack
from preceptor.engine.money import FREE, NO_CAPS, NOTHING, Amounts, Caps, Price, Purse
from preceptor.engine.permits import Permits
from preceptor.engine.seals import insert
from preceptor.errors import (
    Declined,
    Parked,
    PreceptorError,
    RecipeError,
    ReplayDiverged,
    ReplyError,
    StepError,
    ToolError,
)
from preceptor.models import most_tokens
from preceptor.models.again import AGAIN, ASIDE
from preceptor.points import reached
from preceptor.types import Agent, Call, Completion, Message, Model, Reply, Request, Tool

T = TypeVar("T")
ATTEMPTS = 3
ARGUMENT_BYTES = 262_144
RESULT_BYTES = 1_048_576
SHOWN_CHARACTERS = 12_000
"""What a model is shown of one tool result; the whole is in the journal."""
OWN_ROLES = ("judge", "weak")
"""Roles that never fall to the teacher: who wants the teacher to judge itself says so in the recipe."""

_CALL, _USE = insert("calls"), insert("uses")


@runtime_checkable
class _Service(Protocol):
    """A model whose replies have to be asked for."""

    async def poll(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Read:
    """A completion and what was read into it: ok, declined, misfit, cut, refused, empty, or error."""

    outcome: str
    note: str = ""
    completion: Completion = field(default_factory=lambda: Completion(""))
    fields: Mapping[str, Any] = field(default_factory=dict)


class Outside:
    """What the asks of all items share: the journal, the models, the tools, the purse, and what is in the air."""

    def __init__(
        self,
        journal: Journal,
        models: Mapping[str, Model],
        *,
        tools: Iterable[Tool] = (),
        prices: Mapping[str, Price] | None = None,
        caps: Caps = NO_CAPS,
        slots: int = 16,
    ) -> None:
        """`models` by agent name or role, `prices` by model name, `slots` calls at once per model."""
        self.journal, self.models, self.slots = journal, models, slots
        self.tools = {tool.name: tool for tool in tools}
        self.prices = prices or {}
        self.purse = Purse(journal, caps)
        self.air = 0
        """Calls that wait for a slot or for an answer."""
        self.paid = self.recalled = self.parked = self.given_up = 0
        self.tokens = [0, 0]
        self.closing = False
        self.fresh: set[str] = set()
        """Items at work of which the journal held nothing when they were planned: they need not look."""
        self.eased = asyncio.Event()
        self._permits: dict[int, Permits] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        if caps.money is not None and (unpriced := {m.name for m in models.values()} - set(self.prices)):
            names = ", ".join(sorted(unpriced))
            raise RecipeError(
                f"a money limit needs a price for every model; none for: {names}. Add to the model "
                "price = { input = …, output = … }, per million tokens, or name a table of prices: prices = \"prices.toml\""
            )

    def model_of(self, agent: Agent) -> Model:
        """The model that plays this agent: by the agent's name, by its file's name, by its role, else the teacher."""
        for name in (agent.name, agent.name.rpartition("/")[2], agent.role):
            if name in self.models:
                return self.models[name]
        if agent.role in OWN_ROLES or "teacher" not in self.models:
            there = ", ".join(self.models) or "none"
            raise RecipeError(f"{agent.name} needs a model for the role {agent.role!r}; there are: {there}")
        return self.models["teacher"]

    async def arrived(self) -> bool | None:
        """Batch services have been given what waits, and asked: whether any reply came. None where there is no such model."""
        asked = [m for m in dict.fromkeys(self.models.values()) if isinstance(m, _Service)]
        return any([await model.poll() for model in asked]) if asked else None

    def why(self) -> str:
        """Why calls wait, by the first model that an endpoint keeps waiting; empty where none does."""
        told = (getattr(model, "why", str)() for model in dict.fromkeys(self.models.values()))
        return next((said for said in told if said), "")

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """`work` as a task of the engine's own, which no step can cancel."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone: the run tells what went wrong, not the garbage collector

    def reopen(self) -> None:
        """Calls may be sent: a run begins, perhaps after another over the same models."""
        self.closing, self.parked, self.given_up = False, 0, 0

    async def drain(self, seconds: float) -> int:
        """Nothing new is sent; what is in the air has `seconds` to arrive and be stored. Returns what did not."""
        self.closing = True
        if self._tasks and seconds > 0:
            await asyncio.wait(self._tasks, timeout=seconds)
        await asyncio.gather(*self.cut_off(), return_exceptions=True)
        return self.given_up

    def cut_off(self) -> "list[asyncio.Task[Any]]":
        """What is in the air is given up; it is charged at its worst case."""
        late = list(self._tasks)
        for task in late:
            task.cancel()
        self.given_up += len(late)
        return late

    async def pay(self, key: str, item: str, agent: Agent, request: Request, body: str, may_call: bool) -> Read:
        """The model's answer to `request`, read and stored. Its permit is held until it is stored, so that a crash can
        never owe more calls than there are permits; only while the model waits for its next try has another call it."""
        model = self.model_of(agent)
        permits = self._permits_of(model)
        self.air += 1
        try:
            async with permits:
                ASIDE.set(permits.aside)  # in the call's own task: it ends with it
                if self.closing:
                    raise asyncio.CancelledError
                if self.journal.broken:
                    raise self.journal.broken  # no answer is paid for that cannot be stored
                price, purse = self.prices.get(model.name, FREE), self.purse
                worst = self._worst(price, model, request, body)
                await purse.reserve(worst, key)
                reached("preceptor.call.sending")
                started = time()
                try:
                    completion = await self._completed(model, request, worst, key)
                    read = read_completion(agent, completion, may_call)
                except StepError as error:
                    read = Read("error", str(error))
                except BaseException as error:
                    self._lost(error, worst, key)
                    raise
                reached("preceptor.call.answered")
                cost = price.of(read.completion)
                row = self._row(key, item, agent, model, request, body, read, cost.money, started)
                try:
                    stored = self.journal.put(row, *purse.settling(key))
                    reached("preceptor.call.queued")
                    await stored
                    reached("preceptor.call.stored")
                finally:
                    purse.settle(worst, cost, key)
                self.paid += 1
                return read
        finally:
            self.air -= 1
            self.eased.set()

    def _permits_of(self, model: Model) -> Permits:
        """The model's permits: a slot each, and an eighth more where the model itself counts what is on the wire, so that no
        slot stands empty while an answer is stored."""
        permits = self._permits.get(id(model))
        if permits is None:
            more = self.slots // 8 if getattr(model, "paced", False) else 0
            permits = self._permits[id(model)] = Permits(self.slots + more)
        return permits

    def _worst(self, price: Price, model: Model, request: Request, body: str) -> Amounts:
        """The most that the call can cost; nothing where nothing is priced and nothing limited."""
        if price is FREE and not self.purse.counts:
            return NOTHING
        return price.worst(request, len(body.encode(errors="replace")), most_tokens(model, request))

    def _completed(self, model: Model, request: Request, worst: Amounts, key: str) -> Awaitable[Completion]:
        """The model's answer. Each send of it is covered: one that may have been billed for nothing counts too, and what
        goes into a batch is held before it can be submitted."""
        if worst is not NOTHING and getattr(model, "later", False):
            return self._held_first(model, request, worst, key)
        if worst is not NOTHING:
            AGAIN.set(lambda: self.purse.again(worst))  # in the call's own task: it ends with it
        return model.complete(request)

    async def _held_first(self, model: Model, request: Request, worst: Amounts, key: str) -> Completion:
        await self.purse.hold(worst, key)
        return await model.complete(request)

    def _lost(self, error: BaseException, worst: Amounts, key: str) -> None:
        """No answer came: free what the endpoint did not bill, charge what nobody knows about. What a batch service may
        have stays held."""
        self.parked += isinstance(error, Parked)
        if self.purse.holds(key):
            if isinstance(error, Parked) and error.lost:
                self.purse.lost(key)
            return
        if isinstance(error, PreceptorError):
            self.purse.release(worst)
        else:
            self.purse.forfeit(worst)

    def _row(
        self, key: str, item: str, agent: Agent, model: Model, request: Request, body: str, read: Read, cost: int,
        start: float,
    ) -> Write:
        done = read.completion
        self.tokens[0] += done.prompt_tokens
        self.tokens[1] += done.completion_tokens
        used = (done.prompt_tokens, done.completion_tokens, done.reasoning_tokens, done.cached_tokens)
        stored = None if read.outcome == "error" else pack(done)
        said = (key, item, agent.name, model.name, body, stored, read.outcome, clean(read.note))
        return Write(_CALL, (*said, *used, cost, start, time(), request.sample, request.attempt, self.journal.epoch))


class JournaledAsk:
    """`types.Ask` for one item. Make a new one for every replay of it, and `finish` it before its results are kept."""

    def __init__(
        self,
        outside: Outside,
        item: str,
        *,
        seed: str,
        slots: Mapping[str, Any] | None = None,
        frame: str = "",
        tools: Iterable[str] | None = None,
    ) -> None:
        """`slots` reach every prompt of the item (document, brief, language, domain, examples); `tools` are the names
        that its skill declares (None: all that there are)."""
        self.seed = seed
        self.roles = frozenset(outside.models) & {"teacher", *OWN_ROLES}
        self._outside, self._item, self._slots, self._frame = outside, item, slots or {}, frame
        self._tools = outside.tools if tools is None else {n: outside.tools[n] for n in tools if n in outside.tools}
        self._recorded: dict[str, tuple[Any, ...]] | None = None
        self._answers: dict[str, asyncio.Task[Any]] = {}
        self._asked: set[str] = set()
        self._lock, self._box = outside.journal.lock, item.encode()

    def __call__(
        self,
        agent: Agent,
        /,
        *,
        history: Sequence[Message] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        sample: int = 0,
        **slots: Any,
    ) -> Coroutine[Any, Any, Reply]:
        """The agent's reply, its fields validated. Raises Declined, ReplyError, or what ends the run."""
        slots = {**self._slots, **slots}
        messages = prompts.messages(agent, slots, history, self._frame)
        if agent.tools and not tools:
            return self._tooled(agent, messages, sample, slots)
        return self._usable(agent, messages, tuple(tools), sample, slots, bool(tools), _reply_of)

    async def _tooled(
        self, agent: Agent, messages: tuple[Message, ...], sample: int, slots: Mapping[str, Any]
    ) -> Reply:
        """Up to `agent.rounds` tool calls, then an answer without more."""
        offered = tuple(_envelope(self._tools[name].declaration) for name in agent.tools if name in self._tools)
        transcript: tuple[Message, ...] = ()
        left = agent.rounds if offered else 0
        while True:
            if not left and transcript:
                transcript = (*transcript, {"role": "user", "content": _again()["rounds"]})
            read = await self._usable(agent, messages + transcript, offered, sample, slots, left > 0, _as_read)
            calls = numbered(read.completion.calls, len(transcript))[: max(left, 0)]
            if not calls:
                return _reply_of(agent, read, transcript)
            results = [await self._told(agent, call) for call in calls]
            transcript = (*transcript, assistant(read.completion.content, calls), *results)
            left -= len(calls)

    async def _told(self, agent: Agent, call: Call) -> Message:
        """The result of a call as the model sees it; what went wrong is a result too."""
        try:
            if call.name not in agent.tools:
                raise ToolError(f"no tool named {call.name!r}; there are: {', '.join(agent.tools)}")
            if call.arguments is None:
                raise ToolError("the arguments are not a JSON object")
            told = pack(await self.use(call.name, **call.arguments))
        except ToolError as error:
            told = pack({"error": str(error)})
        if len(told) > SHOWN_CHARACTERS:
            told = f"{told[:SHOWN_CHARACTERS]} … ({len(told) - SHOWN_CHARACTERS} more characters)"
        return {"role": "tool", "tool_call_id": call.id, "content": told}

    async def _usable(
        self,
        agent: Agent,
        messages: tuple[Message, ...],
        tools: tuple[Mapping[str, Any], ...],
        sample: int,
        slots: Mapping[str, Any],
        may_call: bool,
        made: Callable[[Agent, Read], T],
    ) -> T:
        """What is `made` of a usable reply: from the journal where it is there, else paid for; at most ATTEMPTS of them."""
        schema, said, faults = _schema_of(agent), messages, []
        older: tuple[Message, ...] = ()
        for attempt in range(ATTEMPTS):
            if self._outside.closing:
                raise asyncio.CancelledError  # a branch that a stopped run has left behind
            request = Request(
                agent.name, said, schema, tools, agent.temperature, agent.max_tokens, sample, attempt, slots
            )
            body = body_of(request)
            key = key_of(self._item, body)
            if older and (known := key_of(self._item, body_of(replace(request, messages=older)))) in self._memory():
                key = known
            read = self._recall(key, agent, may_call)
            if read is None:
                if key not in self._answers:  # two branches that ask the same at once share one answer
                    paying = self._outside.pay(key, self._item, agent, request, body, may_call)
                    self._answers[key] = self._outside.start(paying)
                self._lock.leave()  # while the item waits, its code cannot be what the process dies of
                try:
                    read = await asyncio.shield(self._answers[key])
                finally:
                    self._lock.enter(self._box)
            else:
                self._lock.enter(self._box)
            assert read is not None
            if read.outcome == "ok":
                return made(agent, read)
            if read.outcome == "declined":
                raise Declined(read.note)
            if read.outcome == "error":
                raise ReplyError(read.note)
            faults.append(f"{read.outcome}{read.note and ': '}{read.note}")
            said = messages + _mended(read)
            older = messages + _opened(read) if read.outcome == "cut" else ()
        raise ReplyError(f"no usable reply after {ATTEMPTS} attempts: {' | '.join(faults)}"[:2000])

    # ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        """The tool's result, from the journal where it is there. Raises ToolError where the tool is not this skill's,
        where the arguments do not fit, and where the tool says so."""
        held = self._tools.get(tool)
        if held is None:
            there = ", ".join(self._tools) or "none"
            known = "not declared by this skill" if tool in self._outside.tools else "unknown"
            raise ToolError(f"tool {tool!r} is {known}; there are: {there}. A skill declares its tools in skill.toml")
        if wrong := fault(parameters(held.declaration), arguments):
            raise ToolError(f"{tool}: {wrong}")
        body = pack(dict(sorted(arguments.items())))
        if len(body) > ARGUMENT_BYTES:
            raise ToolError(f"{tool}: arguments of {len(body)} bytes; at most {ARGUMENT_BYTES}")
        key = key_of(self._item, f"{tool}\x1f{held.version}\x1f{body}")
        if (row := self._memory().get(key)) is not None:
            self._asked.add(key)
            result, error = row[1], row[2]
        else:
            if key not in self._answers:
                self._answers[key] = self._outside.start(self._used(key, held, arguments, body))
            result, error = await asyncio.shield(self._answers[key])
        if error is not None:
            raise ToolError(error)
        return unpack(result)

    async def _used(
        self, key: str, tool: Tool, arguments: Mapping[str, Any], body: str
    ) -> tuple[str | None, str | None]:
        """Result or error as JSON text, journaled behind us: a use that is lost is made again for nothing."""
        await self._outside.journal.room()
        started = time()
        result: str | None = None
        error: str | None = None
        try:
            made = pack(await tool(**arguments))
            if len(made) > RESULT_BYTES:
                raise ToolError(f"{tool.name}: a result of {len(made)} bytes; at most {RESULT_BYTES}")
            result = made
        except ToolError as told:
            error = clean(str(told))
        reached("preceptor.use.made")
        row = (key, self._item, tool.name, tool.version, body, result, error, started, time() - started)
        self._outside.journal.post(Write(_USE, (*row, self._outside.journal.epoch)))
        return result, error

    # ── the journal's answers ────────────────────────────────────────────────────────────────────────────────────

    def _memory(self) -> dict[str, tuple[Any, ...]]:
        """What the journal held for this item when its first question was asked: by key, the epoch first."""
        if self._recorded is None:
            if self._item in self._outside.fresh:
                self._recorded = {}
                return self._recorded
            read = self._outside.journal.read
            calls = read("SELECT key, epoch, outcome, note, completion, agent FROM calls WHERE item = ?", (self._item,))
            uses = read("SELECT key, epoch, result, error, tool FROM uses WHERE item = ?", (self._item,))
            self._recorded = {row[0]: row[1:] for row in (*calls, *uses)}
        return self._recorded

    def _recall(self, key: str, agent: Agent, may_call: bool) -> Read | None:
        row = self._memory().get(key)
        if row is None:
            return None
        self._asked.add(key)
        self._outside.recalled += 1
        _, outcome, note, stored, _ = row
        if stored is None:
            return Read(outcome, note)
        return read_completion(agent, completion_of(stored), may_call)

    @property
    def asked(self) -> frozenset[str]:
        """The keys of all calls and uses that were asked for, whether the journal answered or somebody was paid."""
        return frozenset(self._asked | self._answers.keys())

    def finish(self) -> None:
        """Raises ReplayDiverged if a reply that this run paid for was not asked for again."""
        left = [row[-1] for key, row in self._memory().items() if row[0] and key not in self._asked]
        if left:
            raise ReplayDiverged(
                f"replay diverged at item {self._item}: {len(left)} recorded calls were not asked for again, the first "
                f"to {left[0]}. The run is as it was; use the Preceptor and the pack that it began with, or --fork it"
            )


# ── plain functions ──────────────────────────────────────────────────────────────────────────────────────────────


def body_of(request: Request) -> str:
    """The logical request as JSON text: what is hashed, and what is stored."""
    r = request
    parts = {"agent": r.agent, "messages": r.messages, "schema": r.schema, "tools": r.tools}
    drawn = {"temperature": r.temperature, "max_tokens": r.max_tokens, "sample": r.sample, "attempt": r.attempt}
    return pack(parts | drawn)


def key_of(item: str, body: str) -> str:
    """The key of a call: one item, one logical request."""
    whole = f"{item}\x1f{body}".encode(errors="surrogatepass")
    hashed = blake2b(whole[:PIECE], digest_size=16)
    for at in range(PIECE, len(whole), PIECE):
        hashed.update(whole[at : at + PIECE])
    return hashed.hexdigest()


def read_completion(agent: Agent, completion: Completion, may_call: bool) -> Read:
    """What a completion is worth. Cut, refused and empty replies are never success."""
    if completion.finish == "content_filter":
        return Read("refused", "the endpoint's filter stopped it", completion)
    if completion.finish == "length":
        return Read("cut", f"cut after {completion.completion_tokens} tokens", completion)
    if completion.calls:
        if may_call:
            return Read("ok", "", completion)
        return Read("misfit", _again()["rounds"].strip(), completion)
    if not completion.content.strip():
        return Read("empty", "", completion)
    try:
        return Read("ok", "", completion, prompts.read_reply(agent, completion.content))
    except prompts.Misfit as error:
        return Read("misfit", str(error), completion)
    except Declined as error:
        return Read("declined", str(error), completion)


def completion_of(stored: str) -> Completion:
    """The completion that the journal holds."""
    value = unpack(stored)
    value["calls"] = tuple(Call(**call) for call in value["calls"])
    return Completion(**value)


def numbered(calls: Sequence[Call], base: int) -> tuple[Call, ...]:
    """`calls`, each with an id that a tool message can answer to."""
    return tuple(c if c.id else Call(c.name, c.arguments, f"call_{base}_{n}", c.raw) for n, c in enumerate(calls))


def assistant(content: str, calls: Sequence[Call]) -> Message:
    """The assistant's turn that made `calls`, in OpenAI's form."""
    made = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.raw or pack(c.arguments)}}
        for c in calls
    ]
    return {"role": "assistant", "content": content, "tool_calls": made}


def _reply_of(agent: Agent, read: Read, transcript: tuple[Message, ...] = ()) -> Reply:
    done = read.completion
    text = prompts.prose_of(done.content) if agent.prose and agent.fields else done.content
    return Reply(text, read.fields, numbered(done.calls, len(transcript)), done.reasoning, done.model, transcript)


def _as_read(_: Agent, read: Read) -> Read:
    return read


def _mended(read: Read) -> tuple[Message, ...]:
    """The turns that show a model what was wrong. A refusal or an empty reply is only asked for again."""
    done = read.completion
    if read.outcome == "cut":  # half a reply is no help to whoever begins anew
        return ({"role": "user", "content": _again()["cut"].strip()},)
    if read.outcome != "misfit":
        return ()
    bad = done.content or pack([{"name": c.name, "arguments": c.arguments} for c in done.calls])
    told = _again()["misfit"].replace("{error}", read.note).strip()
    return ({"role": "assistant", "content": bad}, {"role": "user", "content": told})


def _opened(read: Read) -> tuple[Message, ...]:
    """How a cut reply was asked for again by the first versions, whose runs go on."""
    opening = f"{read.completion.content[:1000].rstrip()} …"
    return ({"role": "assistant", "content": opening}, *_mended(read))


def _envelope(declaration: Mapping[str, Any]) -> Mapping[str, Any]:
    return declaration if "function" in declaration else {"type": "function", "function": declaration}


@cache
def _schema_of(agent: Agent) -> Mapping[str, Any] | None:
    return prompts.schema_of(agent)


@cache
def _again() -> dict[str, str]:
    return tomllib.loads(files("preceptor.engine").joinpath("again.toml").read_text("utf-8"))
