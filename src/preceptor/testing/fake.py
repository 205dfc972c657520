"""The door for tests of one step or one check: scripted replies, given tools, nothing stored.

ask = FakeAsk({"*/answer": {"answer": "Four.", "final": "4"}}, tools={"calculator": lambda **a: {"value": 4}})
verdict = await gold_number(example, skill, ask)
"""

import asyncio
import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from preceptor import prompts
from preceptor.engine.ask import read_completion
from preceptor.errors import Declined, ReplyError, ToolError
from preceptor.models.scripted import ScriptedModel
from preceptor.types import Agent, Document, Message, Reply, Request, Tool

NOTHING = Document("nothing", "", "nothing")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool."""

    tool: str
    arguments: Mapping[str, Any]


class Remembered:
    """A tool that runs the same arguments once: for tools whose results depend on their arguments alone.

    Starting a sandbox costs a tenth of a second, and checks make the same calls again and again. A refusal is
    remembered as well. Each caller gets a copy of its own.
    """

    def __init__(self, tool: Tool) -> None:
        self.name, self.declaration = tool.name, tool.declaration
        self.version = getattr(tool, "version", "")
        self._tool = tool
        self._known: dict[bytes, asyncio.Task[Any]] = {}

    async def __call__(self, **arguments: Any) -> Any:
        key = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS, default=dict)
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(self._tool(**arguments))
        return copy.deepcopy(await asyncio.shield(self._known[key]))


def remembered(tool: Tool) -> Tool:
    """The simulator, remembered; any other tool as it is."""
    return Remembered(tool) if tool.name == "simulator" else tool


class FakeAsk:
    """`types.Ask` in memory. Prompts are rendered and replies validated as in a run; a reply that does not fit is not
    asked for again, so that a test sees it.

    `replies` is what ScriptedModel takes, or a model; `tools` maps names to a value, a function of the arguments or a
    `types.Tool`. What was asked stands in `requests`, what was used in `uses`.
    """

    def __init__(
        self,
        replies: Any = (),
        *,
        tools: Mapping[str, Any] | Iterable[Tool] = (),
        roles: Iterable[str] = ("teacher",),
        document: Document = NOTHING,
        seed: str = "test",
        **slots: Any,
    ) -> None:
        self.seed = seed
        self.roles = frozenset(roles)
        self.model = replies if hasattr(replies, "complete") else ScriptedModel(replies)
        self.uses: list[Use] = []
        self.requests: list[Request] = []
        held = tools if isinstance(tools, Mapping) else {tool.name: tool for tool in tools}
        self._tools: dict[str, Any] = dict(held)
        self._slots = {
            "document": document,
            "language": document.language,
            "language_name": document.language,
            "domain": document.domain,
            "brief": "",
            "examples": [],
            **slots,
        }

    async def __call__(
        self,
        agent: Agent,
        /,
        *,
        history: Sequence[Message] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        sample: int = 0,
        **slots: Any,
    ) -> Reply:
        filled = {**self._slots, **slots}
        messages = prompts.messages(agent, filled, history)
        request = Request(
            agent.name, messages, prompts.schema_of(agent), tuple(tools), agent.temperature, agent.max_tokens, sample, 0, filled
        )
        self.requests.append(request)
        read = read_completion(agent, await self.model.complete(request), bool(tools))
        if read.outcome == "declined":
            raise Declined(read.note)
        if read.outcome != "ok":
            raise ReplyError(f"{agent.name}: {read.outcome}: {read.note}")
        done = read.completion
        text = prompts.prose_of(done.content) if agent.prose and agent.fields else done.content
        return Reply(text, read.fields, done.calls, done.reasoning, done.model)

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        """What the tool of that name gives. Raises ToolError for one that the test did not give."""
        self.uses.append(Use(tool, arguments))
        if tool not in self._tools:
            raise ToolError(f"no tool {tool!r} was given to FakeAsk; there are: {', '.join(self._tools) or 'none'}")
        held = self._tools[tool]
        if not callable(held):
            return held
        given: Callable[..., Any] = held
        made = given(**arguments)
        return await made if inspect.isawaitable(made) else made
