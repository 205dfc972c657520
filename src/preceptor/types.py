"""What flows through the factory: document, material, instruction, example, and how each of them ends.

    Document ─▶ Material ─▶ Instruction ─▶ Example ─▶ accepted | rejected | surplus
        ╰──────────┴─────────────┴── or Dropped, with the step and the one reason

Everything here is frozen data without behaviour beyond its own id. An item holds its parent
(`example.instruction.material.document`), so lineage needs no bookkeeping.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import orjson

from preceptor.draws import digest

Message: TypeAlias = Mapping[str, Any]
"""A chat message in OpenAI's form: role, content, and tool_calls or tool_call_id where it has them."""

Answerability: TypeAlias = Literal["answerable", "unanswerable", "underspecified", "false_premise", "forbidden"]
Outcome: TypeAlias = Literal["pass", "fail", "na"]
NOTHING: Mapping[str, Any] = {}


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys: equal values, equal text."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:  # an integer beyond 64 bits, or a lone surrogate
        import json

        return json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))


class Named:
    """What has an id that follows from what it holds: worked out when it is first asked for, and remembered."""

    __slots__ = ("_id",)
    _id: str

    @property
    def id(self) -> str:
        try:
            return self._id
        except AttributeError:
            object.__setattr__(self, "_id", self._name())
            return self._id

    def _name(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Document:
    """One piece of raw text, code or table. Never a prompt."""

    id: str
    text: str
    source: str
    """Where it came from: a path relative to the folder that was read, or an address."""
    span: tuple[int, int] = (0, 0)
    """Characters of the cleaned source that `text` is."""
    kind: str = "prose"
    """prose, dialogue, table, code, api, or verse."""
    language: str = "en"
    """ISO 639-1 of the text; for code, of its comments. `und` where nothing could be told."""
    domain: str = "general"
    licence: str = "unknown"
    title: str = ""
    context: str = ""
    """A little of what stands before, to understand `text` by; never part of it."""


@dataclass(frozen=True, slots=True)
class Material(Named):
    """What a document was transformed into: an argument, a debate, an API library, a table …"""

    document: Document
    genre: str
    """The transformer's name; `identity` where the document is left as it is."""
    text: str
    """What the student may see of it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The recorded plan that later checks stand on: conclusion, premises, planted flaw, API list …"""
    parent: "Material | None" = None
    """The material that an editor changed into this one."""
    change: Mapping[str, Any] = field(default_factory=dict)
    """What the editor changed: `before`, `after`, `why`."""
    language: str = ""

    def _name(self) -> str:
        return digest("material", self.document.id, self.genre, self.text, canonical(self.data))


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a multiple-choice question. `role` and `reason` are never shown to whoever answers."""

    text: str
    role: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gold:
    """What is right, known before any answer was given and never taken from the answer under test."""

    form: str
    """text, set, number, order, pairs, option, label, edit, state, or none."""
    value: Any
    evidence: tuple[str, ...] = ()
    """Copied from the material, to the letter."""
    accepts: tuple[str, ...] = ()
    """Other spellings of the same answer."""
    made_by: str = "agent"
    """`agent` (a call apart from the answer's) or `computed` (built by code from the text)."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a row should look, drawn by rule so that rows do not all look alike."""

    format: str = "plain"
    length: str = "medium"
    register: str = "neutral"
    system: str = ""
    """The system message of the row; empty for none."""
    layout: str = "passage_first"


@dataclass(frozen=True, slots=True)
class Instruction(Named):
    """A task made from material: one kind of a skill's taxonomy, with its gold where it has one."""

    material: Material
    kind: str
    text: str
    """The task as the student reads it, without the passage and without the options."""
    shape: str = "short"
    options: tuple[Option, ...] = ()
    gold: Gold | None = None
    answerability: Answerability = "answerable"
    goal: str = ""
    """The refinement goal that made it; empty for a seed instruction."""
    parent: "Instruction | None" = None
    suggestion: str = ""
    depth: int = 0
    shows_material: bool = True
    history: tuple[Message, ...] = ()
    """Earlier turns of the row, where the task continues a conversation."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Tools the student has for this task, in OpenAI's declaration form."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that the kind's checks stand on."""
    style: Style = Style()
    made_by: str = ""
    """The agent or builder that wrote it."""

    def _name(self) -> str:
        parts = (self.kind, self.text, canonical([o.text for o in self.options]), self.goal, canonical(self.data))
        return digest("instruction", self.material.id, *parts, canonical(list(self.history)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check said of one example."""

    check: str
    outcome: Outcome
    evidence: str = ""
    """For people: may show gold."""
    hint: str = ""
    """For the critic and the reviser: must not show gold."""
    decides: bool = False
    """True where the check tells a right from a wrong answer of the same form, length and schema."""
    version: int = 1
    by: str = "code"
    """`code`, or the name of the model that judged."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One attempt at an answer, kept whether or not it was used."""

    answer: str
    by: str
    """answerer, reviser, or gold."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    """The whole trajectory, where answering took more than one message."""
    verdicts: tuple[Verdict, ...] = ()
    critique: str = ""
    """What the critic said of this draft."""
    reasoning: str = ""
    model: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What a tool recorded of the attempt: end state, executed calls."""


@dataclass(frozen=True, slots=True)
class Example(Named):
    """An instruction answered and verified: the row. It carries every verdict."""

    instruction: Instruction
    answer: str
    messages: tuple[Message, ...]
    """The row as the student sees it, system message to last answer."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The fields the answerer replied with; `final` is the bare answer."""
    drafts: tuple[Draft, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    status: Literal["made", "accepted", "rejected", "surplus"] = "made"
    answered_by: Literal["model", "gold"] = "model"
    tries: int = 1
    reasoning: str = ""
    model: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What was recorded while answering: end state, executed calls, the user simulator's facts."""

    def _name(self) -> str:
        return digest("example", self.instruction.id, canonical(list(self.messages)))


@dataclass(frozen=True, slots=True)
class Dropped(Named):
    """Something a step returned that did not become an example, with the step and the one reason."""

    item: Any
    """The Document, Material or Instruction that went in."""
    step: str
    reason: str
    agent: str = ""
    kind: str = ""

    def _name(self) -> str:
        return digest("dropped", self.item.id, self.step, self.kind, self.agent, self.reason)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one step made of one thing: `out` is never empty, because what was lost is in it as a `Dropped`."""

    step: str
    entered: Any
    """The Document, Material, Instruction or Example that went in."""
    out: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Produced:
    """All that came of one item: its rows, its drops, and the way that each of them went."""

    examples: tuple[Example, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    trace: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field of an agent's reply."""

    name: str
    type: Literal["text", "number", "integer", "boolean", "choice", "list", "record"] = "text"
    about: str = ""
    min: float | None = None
    """Least number, least characters or least entries."""
    max: float | None = None
    choices: tuple[str, ...] = ()
    of: "Field | None" = None
    """What a list holds."""
    fields: tuple["Field", ...] = ()
    """What a record holds."""
    optional: bool = False


class HashedOnce:
    """What stands as a key for things made from it, again and again."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True)
class Agent(HashedOnce):
    """One prompt file: a role, slots, and the fields it replies with."""

    name: str
    """`skill/step/file`, such as `reading_comprehension/1_transform/argument`."""
    template: str
    role: str = "teacher"
    temperature: float = 1.0
    max_tokens: int = 1500
    fields: tuple[Field, ...] = ()
    """Empty: the reply is free prose."""
    prose: bool = False
    """True: prose first, then the fields in a tagged tail."""
    tools: tuple[str, ...] = ()
    declines: bool = True
    suits: tuple[str, ...] = ()
    """For transformers: the kinds of document this agent can use. Empty: any."""
    rounds: int = 6
    """Most tool calls in one reply."""
    system: str = ""
    draws: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    """What is settled by draw before it is asked, each with its choices; the prompt reads `drawn.NAME`."""

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash((self.name, self.template, self.system, self.fields)))
            return self._hash


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model made it; `arguments` is None where they did not parse."""

    name: str
    arguments: Mapping[str, Any] | None
    id: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What `ask` returns: validated fields, and text apart from reasoning."""

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    model: str = ""
    transcript: tuple[Message, ...] = ()
    """The tool rounds that led to this reply, where the agent has tools."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model before it is fitted to an endpoint. All but `slots` is hashed and sent."""

    agent: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    """JSON schema of the reply; None for prose."""
    tools: tuple[Mapping[str, Any], ...] = ()
    temperature: float = 1.0
    max_tokens: int = 1500
    sample: int = 0
    attempt: int = 0
    slots: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    """What filled the prompt: for models that live in this process (scripted, simulated). Never sent, never hashed."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model returned, before anything is read into it. Stored in the journal as it is."""

    content: str
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    """stop, length, tool_calls, or content_filter."""
    model: str = ""
    """The model's own report of its name."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Reasoning included."""
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    means: str = ""
    """How the schema was enforced: json_schema, json_object, instructions, grammar, or empty."""


class Model(Protocol):
    """Anything that completes a request. Raises errors of `preceptor.errors`; retries nothing by itself twice."""

    name: str

    async def complete(self, request: Request) -> Completion: ...

    async def close(self) -> None: ...


class Tool(Protocol):
    """Something a step may use through `ask.use`. Arguments and result are JSON values."""

    name: str
    version: str
    """Changes when the same arguments may give another result (for search: the corpus fingerprint)."""
    declaration: Mapping[str, Any]
    """OpenAI's function declaration: name, description, parameters."""

    async def __call__(self, **arguments: Any) -> Any: ...


class Ask(Protocol):
    """The only door from a step to the outside."""

    seed: str
    """Stands for the run's seed and the item: the first place of every draw."""
    roles: frozenset[str]
    """The roles that the recipe gives a model: teacher always, judge and weak perhaps."""

    async def __call__(
        self,
        agent: Agent,
        /,
        *,
        history: Sequence[Message] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        sample: int = 0,
        **slots: Any,
    ) -> Reply: ...

    async def use(self, tool: str, /, **arguments: Any) -> Any: ...


Step: TypeAlias = Callable[[Any, Any, Ask], Awaitable[list[Any]]]
"""`async (item, skill, ask) -> list of items`; what did not make it is in the list too, as `Dropped`."""
