"""From an endpoint's JSON to a Completion: content and reasoning apart, calls, why it stopped, what it cost."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from preceptor.models.limits import Fault
from preceptor.types import Call, Completion, Request, canonical

FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}
THOUGHT = (("<think>", "</think>"), ("[THINK]", "[/THINK]"))
MOST_TOKENS = 10_000_000


def completion(body: Any, request: Request, seconds: float) -> Completion:
    """The Completion that a chat completions `body` holds. Raises Fault where it holds none."""
    if not isinstance(body, Mapping):
        raise Fault("transient", f"the reply is {type(body).__name__}, not a JSON object")
    choices = body.get("choices")
    if not isinstance(choices, Sequence) or not choices or not isinstance(choices[0], Mapping):
        raise Fault("transient", f"the reply holds no choices: {excerpt(canonical(body))}")
    choice = choices[0]
    if choice.get("finish_reason") == "error":
        raise Fault("transient", f"the endpoint broke off: {excerpt(canonical(choice))}")
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {"content": choice.get("text")}
    content, reasoning = parted(message)
    calls = calls_of(message)
    refusal = message.get("refusal")
    prompt, completed, thought, cached = usage(body.get("usage"), request, content + reasoning)
    return Completion(
        content=refusal if isinstance(refusal, str) and refusal and not content else content,
        reasoning=reasoning,
        calls=calls,
        finish=finish(choice.get("finish_reason"), bool(content or calls), bool(refusal)),
        model=str(body.get("model") or ""),
        prompt_tokens=prompt,
        completion_tokens=completed,
        reasoning_tokens=thought,
        cached_tokens=cached,
        seconds=round(seconds, 4),
    )


def finish(said: Any, anything: bool, refused: bool) -> str:
    """Why it stopped, in our four words. An endpoint that says nothing and wrote nothing was cut."""
    if refused:
        return "content_filter"
    return FINISH.get(str(said).lower(), "stop" if anything else "length")


def parted(message: Mapping[str, Any]) -> tuple[str, str]:
    """(content, reasoning) of a message, wherever the endpoint put the reasoning."""
    content, thinking = _joined(message.get("content"))
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        if isinstance(message.get(name), str) and message[name]:
            return content, message[name]
    if thinking:
        return content, thinking
    return inline(content)


def _joined(content: Any) -> tuple[str, str]:
    """Text and thinking of a content that may be a list of parts."""
    if isinstance(content, str):
        return content, ""
    said: list[str] = []
    thought: list[str] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            said.append(part)
        elif isinstance(part, Mapping) and part.get("type") == "thinking":
            inner = part.get("thinking")
            thought.append(inner if isinstance(inner, str) else _joined(inner)[0])
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            said.append(part["text"])
    return "".join(said), "".join(thought)


def inline(content: str) -> tuple[str, str]:
    """Reasoning written into the content: `<think>…</think>` at its start, without an end (all of it is reasoning:
    the reply was cut), or without a start (some templates open the tag in the prompt)."""
    start = content.lstrip()
    if start.startswith("{"):  # a JSON reply may quote such a tag
        return content, ""
    for opens, closes in THOUGHT:
        if start.startswith(opens):
            thought, closed, rest = start[len(opens) :].partition(closes)
            return (rest.lstrip(), thought.strip()) if closed else ("", thought.strip())
        before, closed, rest = start.partition(closes)
        if closed and opens not in before:
            return rest.lstrip(), before.strip()
    return content, ""


def calls_of(message: Mapping[str, Any]) -> tuple[Call, ...]:
    """Native calls; `arguments` is None where they are not a JSON object. Every call has an id of its own."""
    raw_calls = message.get("tool_calls")
    if not isinstance(raw_calls, list) and isinstance(message.get("function_call"), Mapping):
        raw_calls = [{"function": message["function_call"]}]
    calls: list[Call] = []
    for at, raw in enumerate(raw_calls if isinstance(raw_calls, list) else ()):
        function = raw.get("function") if isinstance(raw, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        said = function.get("arguments")
        written = said if isinstance(said, str) else canonical(said if said is not None else {})
        call_id = str(raw.get("id") or f"call_{at}")
        if any(call.id == call_id for call in calls):
            call_id = f"{call_id}_{at}"
        calls.append(Call(str(function.get("name") or ""), _object(written), call_id, written))
    return tuple(calls)


def _object(written: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def usage(said: Any, request: Request, written: str) -> tuple[int, int, int, int]:
    """(prompt, completion, reasoning, cached) tokens; what is missing or absurd is estimated, never 0."""
    said = said if isinstance(said, Mapping) else {}
    prompt_details = said.get("prompt_tokens_details")
    completion_details = said.get("completion_tokens_details")
    prompt = _count(said.get("prompt_tokens"))
    completed = _count(said.get("completion_tokens"))
    thought = _count(completion_details.get("reasoning_tokens") if isinstance(completion_details, Mapping) else None)
    thought = thought if thought is not None else _count(said.get("reasoning_tokens"))
    cached = _count(prompt_details.get("cached_tokens") if isinstance(prompt_details, Mapping) else None)
    cached = cached if cached is not None else _count(said.get("prompt_cache_hit_tokens"))
    asked = sum(len(str(message.get("content") or "")) for message in request.messages)
    return (
        prompt if prompt else estimated(asked),
        completed if completed is not None and (completed or not written) else estimated(len(written)),
        thought or 0,
        cached or 0,
    )


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def counted(body: Any) -> bool:
    """Whether the endpoint reported a usage that can be believed."""
    said = body.get("usage") if isinstance(body, Mapping) else None
    return isinstance(said, Mapping) and _count(said.get("prompt_tokens")) is not None


def estimated(characters: int) -> int:
    """Tokens of so many characters, on the high side for English."""
    return max(1, -(-characters // 3))


def error_text(body: Any, raw: str) -> str:
    """The endpoint's own words for what is wrong, without markup and not longer than a paragraph."""
    said = body
    for _ in range(4):
        if isinstance(said, Mapping):
            inner = next((said[key] for key in ("error", "message", "detail", "errors") if said.get(key)), None)
            if inner is None:
                break
            said = inner
    words = said if isinstance(said, str) else canonical(said) if said is not None else raw
    return excerpt(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", words)).strip() or "no reason given")


def excerpt(words: str, most: int = 400) -> str:
    return words if len(words) <= most else f"{words[:most]}…"
