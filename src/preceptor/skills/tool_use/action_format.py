"""The paper's ACTION form of a conversation: every turn of the assistant is one action, written in markdown.

    ## ACTION_TYPE                ## ACTION_TYPE              ## ACTION_TYPE          ## ACTION_TYPE
    API_CALL                      ASK                         STOP                    FAILED
    ## ACTION                     ## ACTION                   ## ACTION               ## ACTION
    {"name": …, "arguments": …}   (what the user is asked)    (the final answer)      (the reason)

The paper has API calls and STOP, with FAILED inside STOP; a question to the user, which its conversations need as
well, gets a name here, so that a reader of one turn knows what it is.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from preceptor.types import Example, Message

TURN = re.compile(r"\A## ACTION_TYPE\n(API_CALL|ASK|STOP|FAILED)\n## ACTION\n(.*)\Z", re.S)
RESULT = re.compile(r"\A## RESULT (\S+)\n(.*)\Z", re.S)


def action_format(example: Example) -> list[dict[str, str]]:
    """The row's messages in the ACTION form: the APIs in the system message, calls and results as text.

    Several calls of one turn become one action that holds a list. Nothing is lost: `from_actions` gives them back.
    """
    messages = [m for m in example.messages if m.get("role") != "system"]
    system = "\n\n".join(str(m["content"]) for m in example.messages if m.get("role") == "system")
    apis = orjson.dumps(list(example.instruction.tools), option=orjson.OPT_INDENT_2, default=dict).decode()
    made = [{"role": "system", "content": f"{system}\n\n## APIS\n{apis}".strip()}]
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            last = place == len(messages) - 1
            made.append(
                {"role": "assistant", "content": turn_of(message, example.fields.get("outcome", "done") if last else "")}
            )
        elif message["role"] == "tool":
            made.append({"role": "user", "content": f"## RESULT {message['tool_call_id']}\n{message['content']}"})
        else:
            made.append({"role": "user", "content": str(message["content"])})
    return made


def turn_of(message: Message, outcome: Any) -> str:
    """One turn of the assistant as an action. `outcome` is empty for all but the last."""
    if calls := message.get("tool_calls"):
        actions = [{"id": c["id"], "name": c["function"]["name"], "arguments": read(c["function"]["arguments"])} for c in calls]
        body = orjson.dumps(actions[0] if len(actions) == 1 else actions).decode()
        said = str(message.get("content") or "")
        return f"## ACTION_TYPE\nAPI_CALL\n## ACTION\n{body}" + (f"\n{said}" if said else "")
    kind = {"": "ASK", "failed": "FAILED"}.get(str(outcome), "STOP")
    return f"## ACTION_TYPE\n{kind}\n## ACTION\n{unmarked(str(message.get('content') or ''))}"


def unmarked(text: str) -> str:
    """The text without a leading STOP or FAILED, which the action's type says already."""
    return re.sub(r"\A\s*(?:STOP|FAILED)\b[\s:.,–-]*", "", text)


def read(arguments: Any) -> Any:
    return orjson.loads(arguments) if isinstance(arguments, str) else arguments


def from_actions(messages: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, Any]], str]:
    """Messages with tool calls, and the outcome, from the ACTION form; the system message stays out. ValueError where a
    turn of the assistant is no action."""
    made: list[dict[str, Any]] = []
    outcome = ""
    for message in messages:
        if message["role"] == "system":
            continue
        if message["role"] == "user":
            result = RESULT.match(message["content"])
            made.append({"role": "tool", "tool_call_id": result[1], "content": result[2]} if result else dict(message))
            continue
        turn = TURN.match(message["content"])
        if turn is None:
            raise ValueError(f"no action: {message['content'][:120]!r}")
        outcome = {"STOP": "done", "FAILED": "failed"}.get(turn[1], "")
        made.append(called(turn[2]) if turn[1] == "API_CALL" else {"role": "assistant", "content": turn[2]})
    return made, outcome


def called(action: str) -> dict[str, Any]:
    """The assistant message of an API_CALL action."""
    body, _, said = action.partition("\n")
    value = orjson.loads(body)
    calls = [
        {"id": a["id"], "type": "function", "function": {"name": a["name"], "arguments": orjson.dumps(a["arguments"]).decode()}}
        for a in (value if isinstance(value, list) else [value])
    ]
    return {"role": "assistant", "content": said, "tool_calls": calls}
