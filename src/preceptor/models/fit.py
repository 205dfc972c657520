"""From a logical request to an OpenAI body: the schema, the tools and the parameters as this endpoint can take them.

    Request ──Fit──▶ body ──▶ endpoint ──▶ Completion ──unfit──▶ the same Completion, whatever the means were

What an endpoint can take is a `Fit`. It is learnt from the endpoint's own refusals (`mended`) and remembered.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Literal

import orjson

from preceptor.draws import digest
from preceptor.types import Call, Completion, Message, Request, canonical

LADDER = ("json_schema", "json_schema_subset", "json_object", "instructions")
"""Means of holding a reply to its schema, strictest first. `json_schema_subset`: strict, without the bounds that some
endpoints refuse (they go into the descriptions), optional fields as required ones that may be null."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What one endpoint can take, as far as is known."""

    means: str = LADDER[0]
    tools: Literal["native", "action"] = "native"
    """`action`: tool calls by a schema-constrained object, for models without native calls."""
    token_key: str = "max_tokens"
    system: bool = True
    """False: system messages are put before the first user message."""
    left_out: frozenset[str] = frozenset()


def request_digest(request: Request) -> str:
    """Sixteen hex digits that stand for the logical request, with agent, sample and attempt."""
    parts = (canonical(list(request.messages)), canonical(request.schema), canonical(list(request.tools)))
    numbers = (request.temperature, request.max_tokens, request.sample, request.attempt)
    return digest("request", request.agent, *parts, *numbers)


def filled(template: str, /, **slots: str) -> str:
    """The text `texts/TEMPLATE.md` with its slots filled."""
    return _template(template).substitute(slots).rstrip("\n")


@cache
def _template(name: str) -> Template:
    return Template(files("preceptor.models").joinpath("texts", f"{name}.md").read_text(encoding="utf-8"))


def fitted(request: Request, fit: Fit) -> dict[str, Any]:
    """The parts of a body that depend on the fit: `messages`, and `response_format` and `tools` where they apply.

    With native tools *and* a schema, the schema is asked for in the prompt: many servers hold the whole reply to a
    `response_format`, which makes a call impossible.
    """
    if not request.tools:
        messages = plain(request.messages) if fit.tools == "action" else list(request.messages)
        return _with_schema(messages, request.schema, fit)
    if fit.tools == "native":
        body = _with_schema(list(request.messages), request.schema, replace(fit, means="instructions"))
        return {**body, "tools": [dict(tool) for tool in request.tools]}
    described = _indented([tool.get("function", tool) for tool in request.tools])
    fields = request.schema and filled("answer_fields", schema=orjson.dumps(request.schema).decode())
    messages = appended(plain(request.messages), filled("actions", tools=described, answer=fields or filled("answer_text")))
    # The tools' own text already says what to write, so that lower rungs need no second instruction.
    return _with_schema(messages, action_schema(request), fit, say=False)


def _with_schema(messages: list[Message], schema: Mapping[str, Any] | None, fit: Fit, say: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if schema is not None:
        if fit.means in ("json_schema", "json_schema_subset"):
            shape = schema if fit.means == "json_schema" else subset(schema)
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": shape},
            }
        elif fit.means == "json_object":
            body["response_format"] = {"type": "json_object"}
        if say and fit.means in ("json_object", "instructions"):
            messages = appended(messages, filled("schema", schema=_indented(schema)))
    return {"messages": merged(messages if fit.system else _without_system(messages)), **body}


def most_added(request: Request) -> int:
    """The most bytes that fitting adds to a request's own: its schema and its tools told in words, and the words around."""
    told = [request.schema] if request.schema is not None else []
    tools = [tool.get("function", tool) for tool in request.tools]
    words = sum(len(_template(name).template) for name in ("schema", "actions", "answer_fields", "answer_text"))
    results = sum(len(_template("result").template) for message in request.messages if message.get("role") == "tool")
    return sum(len(_indented(part).encode()) for part in (*told, *tools)) + (words if told or tools else 0) + results


def _indented(value: Any) -> str:
    """JSON for a model to read, in the order in which it should write."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def action_schema(request: Request) -> dict[str, Any]:
    """One object: a tool's name with its arguments, or the answer in the request's own schema."""
    branches: list[dict[str, Any]] = []
    for tool in request.tools:
        function = tool.get("function", tool)
        arguments = function.get("parameters") or {"type": "object", "properties": {}, "additionalProperties": False}
        branches.append(_closed({"action": {"type": "string", "enum": [function["name"]]}, "arguments": arguments}))
    answer = request.schema or {"type": "string", "maxLength": max(200, request.max_tokens * 4)}
    return {"anyOf": [*branches, _closed({"answer": answer})]}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def plain(messages: Iterable[Message]) -> list[Message]:
    """The conversation without native calls: calls as the objects they stand for, results quoted in user messages."""
    names: dict[str, str] = {}
    out: list[Message] = []
    for message in messages:
        if message.get("tool_calls"):
            for call in message["tool_calls"]:
                names[str(call.get("id", ""))] = call["function"]["name"]
            out.append({"role": "assistant", "content": "\n".join(_said(message))})
        elif message.get("role") == "tool":
            content = message.get("content") or ""
            content = content if isinstance(content, str) else canonical(content)
            name = names.get(str(message.get("tool_call_id", "")), str(message.get("name") or "the tool"))
            out.append({"role": "user", "content": filled("result", name=name, mark=digest(content)[:4], content=content)})
        else:
            out.append(message)
    return out


def _said(message: Message) -> Iterable[str]:
    if message.get("content"):
        yield str(message["content"])
    for call in message["tool_calls"]:
        arguments = call["function"].get("arguments") or "{}"
        parsed = _loaded(arguments) if isinstance(arguments, str) else arguments
        yield canonical({"action": call["function"]["name"], "arguments": arguments if parsed is None else parsed})


def appended(messages: Sequence[Message], more: str) -> list[Message]:
    """`more` at the end of the first user message: it stays in place while the conversation grows, so that a prefix
    cache keeps what stands before."""
    out = list(messages)
    for at, message in enumerate(out):
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            out[at] = {**message, "content": f"{message['content']}\n\n{more}"}
            return out
    return [*out, {"role": "user", "content": more}]


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbouring system or user messages as one: many chat templates refuse two in a row."""
    out: list[dict[str, Any]] = []
    for message in messages:
        last = out[-1] if out else {}
        both_text = isinstance(message.get("content"), str) and isinstance(last.get("content"), str)
        if (
            both_text
            and message["role"] in ("system", "user")
            and last["role"] == message["role"]
            and set(message) == set(last)
        ):
            last["content"] = f"{last['content']}\n\n{message['content']}"
        else:
            out.append(dict(message))
    return list(out)


def _without_system(messages: Iterable[Message]) -> list[Message]:
    return [{**m, "role": "user"} if m.get("role") == "system" else m for m in messages]


BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "pattern", "format", "uniqueItems")


def subset(schema: Any) -> Any:
    """`schema` in the part of JSON schema that strict endpoints share; what they cannot hold is said in words."""
    if isinstance(schema, list):
        return [subset(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    out = {key: subset(value) for key, value in schema.items() if key not in BOUNDS and key != "properties"}
    held = [f"{key} {schema[key]}" for key in BOUNDS if key in schema]
    if held:
        out["description"] = " ".join(filter(None, [out.get("description", ""), f"({', '.join(held)})"]))
    if isinstance(schema.get("properties"), Mapping):
        required = set(schema.get("required", ()))
        out["properties"] = {
            name: subset(part) if name in required else {"anyOf": [subset(part), {"type": "null"}]}
            for name, part in schema["properties"].items()
        }
        out["required"] = list(schema["properties"])
        out["additionalProperties"] = False
    return out


def without_nulls(value: Any, schema: Any) -> Any:
    """`value` without the nulls that stand for optional fields left away: undoes what `subset` asked for."""
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, list):
        return [without_nulls(part, schema.get("items")) for part in value]
    if not isinstance(value, dict) or not isinstance(schema.get("properties"), Mapping):
        return value
    required = set(schema.get("required", ()))
    return {
        name: without_nulls(part, schema["properties"].get(name))
        for name, part in value.items()
        if part is not None or name in required
    }


def unfitted(completion: Completion, request: Request, fit: Fit) -> Completion:
    """The completion as if the endpoint had taken the logical request: action objects as calls, helper nulls gone."""
    if request.tools and fit.tools == "action" and not completion.calls:
        completion = _from_action(completion, request, fit)
    if request.schema is not None and fit.means == "json_schema_subset" and not completion.calls:
        value = json_in(completion.content)
        if value is not None and completion.finish == "stop":
            content = orjson.dumps(without_nulls(value, request.schema)).decode()
            completion = replace(completion, content=content)
    means = means_of(request, fit)
    return completion if means == completion.means else replace(completion, means=means)


def means_of(request: Request, fit: Fit) -> str:
    if request.tools and fit.tools == "native":
        return "instructions" if request.schema is not None else ""
    if request.schema is None and not request.tools:
        return ""
    return "json_schema" if fit.means == "json_schema_subset" else fit.means


def _from_action(completion: Completion, request: Request, fit: Fit) -> Completion:
    said = json_in(completion.content)
    if not isinstance(said, dict) or completion.finish not in ("stop", "tool_calls"):
        return completion
    if "action" in said:
        arguments = said.get("arguments")
        # Distinct in each round: the conversation so far is part of it.
        call_id = f"call_{digest(canonical(list(request.messages)), request.sample, request.attempt)[:12]}"
        if fit.means == "json_schema_subset":
            arguments = without_nulls(arguments, _parameters(request, said["action"]))
        whole = arguments if isinstance(arguments, dict) else None
        call = Call(str(said["action"]), whole, call_id, canonical(arguments))
        return replace(completion, content="", calls=(call,), finish="tool_calls")
    if "answer" in said:
        answer = said["answer"]
        return replace(completion, content=answer if isinstance(answer, str) else orjson.dumps(answer).decode())
    return completion


def _parameters(request: Request, name: Any) -> Any:
    functions = (tool.get("function", tool) for tool in request.tools)
    return next((function.get("parameters") for function in functions if function["name"] == name), None)


def json_in(said: str) -> Any | None:
    """The JSON value in `said`: the whole of it, what a code fence holds, or from the first brace to the last."""
    said = said.strip()
    if said[:1] in "{[" and (value := _loaded(said)) is not None:
        return value
    fence = re.search(r"```(?:json)?\s*\n(.*?)```", said, re.DOTALL)
    braces = said[said.find("{") : said.rfind("}") + 1] if "{" in said else ""
    for part in (said, fence.group(1) if fence else "", braces):
        value = _loaded(part) if part else None
        if value is not None:
            return value
    return None


def _loaded(part: str) -> Any | None:
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError:
        return None


SCHEMA_WORDS = (
    "response_format",
    "json_schema",
    "json schema",
    "json_object",
    "guided",
    "structured output",
    "schema",
    "grammar",
)
TOOL_WORDS = ("tool_choice", "tool choice", "tools", "function call", "tool-call-parser", "tool call")
UNKNOWN_WORDS = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed|only allowed"
    r"|forbidden|invalid|only the default|must be"
)
SYSTEM_WORDS = re.compile(r"system.{0,20}(role|message|prompt).{0,60}(not|must|only)")
KEPT = frozenset({"model", "messages", "response_format", "tools"})


def mended(fit: Fit, body: Mapping[str, Any], said: str) -> tuple[Fit, str] | None:
    """A fit that avoids what the endpoint refused (`said`: its error, as JSON or text), and what is different now.

    None where the refusal names nothing that could be done otherwise. At most a dozen steps lead from any fit to None.
    """
    lowered = said.lower()
    swapped = _other_token_key(fit, body, lowered)
    if swapped is not None:
        return swapped
    if "response_format" not in lowered and (less := _one_less(fit, body, lowered, quoted=True)):
        return less
    if fit.system and SYSTEM_WORDS.search(lowered):
        return replace(fit, system=False), "system messages are sent as part of the first user message"
    if "tools" in body and any(word in lowered for word in TOOL_WORDS):
        change = "tools are asked for by an action object, since it has no native tool calls"
        return replace(fit, tools="action"), change
    if "response_format" in body and any(word in lowered for word in SCHEMA_WORDS):
        return _rung_down(fit)
    return _one_less(fit, body, lowered)


def _other_token_key(fit: Fit, body: Mapping[str, Any], lowered: str) -> tuple[Fit, str] | None:
    if "max_completion_tokens" not in lowered or not ("instead" in lowered or UNKNOWN_WORDS.search(lowered)):
        return None
    if "max_completion_tokens" in fit.left_out:  # so that the two names cannot take turns for ever
        return None
    if fit.token_key == "max_tokens":
        return replace(fit, token_key="max_completion_tokens"), "`max_completion_tokens` is sent for `max_tokens`"
    left_out = fit.left_out | {"max_completion_tokens"}
    return replace(fit, token_key="max_tokens", left_out=left_out), "`max_tokens` is sent for `max_completion_tokens`"


def _rung_down(fit: Fit) -> tuple[Fit, str] | None:
    at = LADDER.index(fit.means) + 1
    if at >= len(LADDER):
        return None
    words = {
        "json_schema_subset": "schemas are sent without bounds, which are said in words",
        "json_object": "schemas are asked for in the prompt, with JSON mode",
        "instructions": "schemas are asked for in the prompt alone",
    }
    return replace(fit, means=LADDER[at]), words[LADDER[at]]


def _one_less(fit: Fit, body: Mapping[str, Any], lowered: str, quoted: bool = False) -> tuple[Fit, str] | None:
    """One parameter less: the one that the refusal names, in quotes where `quoted`."""
    if not UNKNOWN_WORDS.search(lowered):
        return None
    before, behind = ("[\"'`]", "[\"'`\\\\]") if quoted else ("(?<![a-z_])", "(?![a-z_])")
    for key in body:
        if key in KEPT or key in fit.left_out or key == fit.token_key:
            continue
        if re.search(before + re.escape(key.lower()) + behind, lowered):
            return replace(fit, left_out=fit.left_out | {key}), f"`{key}` is left out, since the endpoint refuses it"
    return None
