"""A model that says what a list or a file tells it to: the test double of the project, and of packs of your own.

ScriptedModel({"*/argument": {"text": "…", "conclusion": "…"}, "*/answer": ["wrong", "right"]})
ScriptedModel([Line(agent="*/answer", contains="folic", fields={"answer": "B"}, times="always")])
open_model("scripted:replies.jsonl")       # one line a reply, with the same keys; or a TOML file of [[reply]]
"""

import asyncio
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from preceptor import errors
from preceptor.models.reply import estimated
from preceptor.types import Call, Completion, Request, canonical

Answer: TypeAlias = "str | Mapping[str, Any] | Line | Completion | Exception | Callable[[Request], Any]"
"""What may stand for a reply: text, fields (sent as JSON), a Line, a Completion, an error to raise, or a function of
the request that returns one of these."""


@dataclass(frozen=True, slots=True)
class Line:
    """One scripted reply: when it is used, and what it says."""

    agent: str = "*"
    """The agent's name, with * and ?; `*/answer` is that file of any skill."""
    contains: str | Sequence[str] = ()
    """Text that must all stand in the prompt."""
    sample: int | None = None
    attempt: int | None = None
    times: int | Literal["always", ""] = ""
    """How often it may be used. By default once, or always where sample or attempt is named."""
    text: str = ""
    fields: Mapping[str, Any] | None = None
    """Sent as a JSON object in place of text."""
    calls: Sequence[Mapping[str, Any]] = ()
    """Tool calls: name and arguments (an object, or a string that may be broken)."""
    reasoning: str = ""
    finish: str = ""
    """`length` for a cut reply, `content_filter` for a refusal."""
    cut: int | None = None
    """Only so many characters are said, and finish is `length`."""
    error: str = ""
    """Raises this error of `preceptor.errors`, such as EndpointError, with `text` as its message."""
    delay: float = 0.0
    """Seconds before the reply."""
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    say: Callable[[Request], Any] | None = None
    """Makes the reply from the request."""

    def matches(self, request: Request, prompt: str) -> bool:
        wanted = (self.contains,) if isinstance(self.contains, str) else self.contains
        return (
            fnmatchcase(request.agent, self.agent)
            and self.sample in (None, request.sample)
            and self.attempt in (None, request.attempt)
            and all(words in prompt for words in wanted)
        )

    def uses(self) -> float:
        if self.times == "always" or (self.times == "" and (self.sample is not None or self.attempt is not None)):
            return float("inf")
        return 1 if self.times == "" else float(self.times)

    def shown(self) -> str:
        """The line in one line, for errors."""
        when = {"agent": self.agent, "contains": self.contains, "sample": self.sample, "attempt": self.attempt}
        said = self.text or (canonical(self.fields) if self.fields is not None else "") or canonical(list(self.calls))
        told = " ".join(f"{key}={value!r}" for key, value in when.items() if value not in (None, ()))
        return f"{told}: {said[:60]!r}" if self.say is None else f"{told}: a function"


class ScriptedModel:
    """Answers from its lines, in their order; each request is kept in `requests`.

    `replies` is a list of lines (or replies for any agent), or a mapping from agent to one reply, which is used
    always, or to a list of replies, each used once and in order. A function answers every request.
    """

    def __init__(
        self,
        replies: "Mapping[str, Answer | Sequence[Answer]] | Iterable[Answer] | Callable[[Request], Any]" = (),
        *,
        name: str = "scripted",
        source: str = "",
    ) -> None:
        self.name = name
        self.requests: list[Request] = []
        self.price = None
        self._lines = [*_lines(replies)]
        self._used = [0] * len(self._lines)
        self._source = source or "the script"

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        line = self._line(request)
        if line.delay:
            await asyncio.sleep(line.delay)
        return _completion(line, request, self.name)

    async def close(self) -> None:
        return None

    def unused(self) -> list[Line]:
        """The lines that no request has asked for."""
        return [line for line, used in zip(self._lines, self._used) if not used]

    def _line(self, request: Request) -> Line:
        prompt = prompt_of(request)
        for at, line in enumerate(self._lines):
            if self._used[at] < line.uses() and line.matches(request, prompt):
                self._used[at] += 1
                return line
        raise errors.EndpointError(self._nothing(request, prompt))

    def _nothing(self, request: Request, prompt: str) -> str:
        spent = [line for line in self._lines if line.matches(request, prompt)]
        begins, ends = prompt.strip()[:300], asked_in(prompt)
        there = "\n".join(f"    {line.shown()}" for line in (spent or self._lines)[:12]) or "    (nothing)"
        why = (
            f'all {len(spent)} lines for it are used up; give one of them times = "always", or add another:'
            if spent
            else f"{self._source} has no line for it; there are:"
        )
        where = f"agent {request.agent!r}, sample {request.sample}, attempt {request.attempt}"
        return (
            f"no scripted reply for {where}, whose prompt begins:\n{_quoted(begins)}\n"
            f"  and whose task ends (`contains` may name words from anywhere in the prompt):\n{_quoted(ends)}\n  {why}\n{there}"
        )


def read_script(path: Path | str, *, name: str = "") -> ScriptedModel:
    """The model that a JSONL or TOML file describes. RecipeError names the line and what is wrong with it."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise errors.RecipeError(f"no file of scripted replies at {path}: {error.strerror}") from None
    entries = _toml(path, raw) if path.suffix == ".toml" else _jsonl(path, raw)
    lines = [_entry(entry, f"{path}, {where}") for where, entry in entries]
    return ScriptedModel(lines, name=name or f"scripted:{path.name}", source=str(path))


def prompt_of(request: Request) -> str:
    """All that the messages say, one after the other."""
    said = (message.get("content") for message in request.messages)
    return "\n".join(part if isinstance(part, str) else canonical(part) for part in said if part)


TASK = re.compile(r"<(task-[0-9a-f]{4,})>\n(.*?)\n</\1>", re.DOTALL)


def asked_in(prompt: str, most: int = 300) -> str:
    """The end of the task block, in which an answerer is shown its question; without such a block, of the prompt."""
    found = TASK.findall(prompt)
    return (found[-1][1] if found else prompt).strip()[-most:]


def _quoted(text: str) -> str:
    return "\n".join(f"    | {row[:300]}" for row in text.splitlines() if row.strip())


def _lines(replies: Any) -> Iterable[Line]:
    if callable(replies):
        yield Line(say=replies, times="always")
        return
    if not isinstance(replies, Mapping):
        yield from (_as_line(reply, Line()) for reply in replies)
        return
    for agent, said in replies.items():
        if isinstance(said, Sequence) and not isinstance(said, str):
            yield from (_as_line(reply, Line(agent=agent)) for reply in said)
        else:
            yield _as_line(said, Line(agent=agent, times="always"))


def _as_line(reply: Any, line: Line) -> Line:
    if isinstance(reply, Line):
        named = reply.agent if reply.agent != "*" else line.agent
        return replace(reply, agent=named, times=reply.times or line.times)
    if isinstance(reply, str):
        return replace(line, text=reply)
    if isinstance(reply, Mapping):
        return replace(line, fields=reply)
    if callable(reply):
        return replace(line, say=reply)
    return replace(line, say=lambda request: reply)


def _completion(line: Line, request: Request, name: str) -> Completion:
    if line.say is not None:
        said = line.say(request)
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, Completion):
            return said
        return _completion(_as_line(said, Line()), request, name)
    if line.error:
        raise getattr(errors, line.error)(line.text or f"scripted {line.error}")
    content = orjson.dumps(line.fields).decode() if line.fields is not None else line.text
    content = content if line.cut is None else content[: line.cut]
    calls = tuple(_call(at, call) for at, call in enumerate(line.calls))
    finish = line.finish or ("length" if line.cut is not None else "tool_calls" if calls else "stop")
    written = estimated(len(content) + len(line.reasoning) + len(canonical(list(line.calls))))
    return Completion(
        content=content,
        reasoning=line.reasoning,
        calls=calls,
        finish=finish,
        model=line.model or name,
        prompt_tokens=estimated(len(prompt_of(request))) if line.prompt_tokens is None else line.prompt_tokens,
        completion_tokens=written if line.completion_tokens is None else line.completion_tokens,
        reasoning_tokens=estimated(len(line.reasoning)) if line.reasoning else 0,
        seconds=line.delay,
        means="json_schema" if request.schema is not None else "",
    )


def _call(at: int, call: Mapping[str, Any]) -> Call:
    arguments = call.get("arguments", {})
    raw = arguments if isinstance(arguments, str) else canonical(arguments)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        parsed = None
    return Call(str(call["name"]), parsed if isinstance(parsed, dict) else None, str(call.get("id", f"call_{at}")), raw)


def _jsonl(path: Path, raw: bytes) -> Iterable[tuple[str, Any]]:
    for number, row in enumerate(raw.splitlines(), 1):
        if not row.strip() or row.lstrip().startswith((b"#", b"//")):
            continue
        try:
            yield f"line {number}", orjson.loads(row)
        except orjson.JSONDecodeError as error:
            raise errors.RecipeError(f"{path}, line {number} is no JSON: {error}") from None


def _toml(path: Path, raw: bytes) -> Iterable[tuple[str, Any]]:
    try:
        whole = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.RecipeError(f"{path} is no TOML: {error}") from None
    for number, entry in enumerate(whole.get("reply", []), 1):
        yield f"reply {number}", entry


def _entry(entry: Any, where: str) -> Line:
    if not isinstance(entry, Mapping):
        raise errors.RecipeError(f'{where} is no object; a line looks like {{"agent": "*/answer", "text": "…"}}')
    known = [f.name for f in fields(Line) if f.name != "say"]
    for key in entry:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise errors.RecipeError(f"{where}: no key {key!r}; {meant}There are: {', '.join(known)}")
    error = entry.get("error", "")
    kind = getattr(errors, str(error), None) if error else errors.PreceptorError
    if not (isinstance(kind, type) and issubclass(kind, errors.PreceptorError)):
        raise errors.RecipeError(f"{where}: no error {error!r}; such as: EndpointError, ReplyError, Declined, Parked")
    return Line(**entry)
