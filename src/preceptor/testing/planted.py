"""Faults that only one check is there for: each takes a right conversation and breaks the one thing that the check guards."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from preceptor.checks.state import arguments_of, calls_of, contains, leaves, replay, told
from preceptor.draws import one
from preceptor.states import state_difference
from preceptor.testing.mutators import number, sibling
from preceptor.types import Ask, Example, Message

Plant = Callable[[Example, Ask], Awaitable[Example | None]]


def call_message(name: str, arguments: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The assistant's turn that makes one call."""
    function = {"name": name, "arguments": orjson.dumps(dict(arguments)).decode()}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": key, "type": "function", "function": function}]}


async def carried_out(example: Example, messages: Sequence[Message], ask: Ask) -> Example:
    """The row with these messages, every call of them really made: results stand as the service gives them now."""
    made = calls_of(messages)
    results, state = await replay(example.instruction, [{"name": m.name, "arguments": m.arguments} for m in made], ask)
    ids = [call["id"] for m in messages for call in m.get("tool_calls") or ()]
    shown = {key: told(result) for key, result in zip(ids, results, strict=True)}
    said = tuple(
        {**m, "content": shown.get(str(m.get("tool_call_id")), m["content"])} if m.get("role") == "tool" else m
        for m in messages
    )
    return replace(example, messages=said, data={**example.data, "state": state, "results": results}, verdicts=())


async def means_something(before: Example, after: Example, ask: Ask) -> bool:
    """Whether the two conversations end with other books or learn other things."""
    states, learnt = [], []
    for row in (before, after):
        calls = [{"name": m.name, "arguments": m.arguments} for m in calls_of(row.messages)]
        results, state = await replay(row.instruction, calls, ask)
        states.append(state)
        learnt.append(sorted(told(r) for r in results if r["ok"]))
    if state_difference(states[0], states[1]):
        return True
    return learnt[0] != learnt[1] and before.answer != after.answer


def with_report(example: Example, after: Example) -> Example:
    """`after`, its answer telling what its own results say in place of what the right ones said."""
    answer = example.answer
    old = [leaf for m in calls_of(example.messages) for leaf in leaves(_json(m.shown))]
    new = [leaf for m in calls_of(after.messages) for leaf in leaves(_json(m.shown))]
    for (key, value), (other_key, other) in zip(old, new):
        if key == other_key and value != other and str(value) in answer and value not in ("", None):
            answer = answer.replace(str(value), str(other))
    last = {**after.messages[-1], "content": str(after.messages[-1]["content"]).replace(example.answer, answer)}
    return replace(after, answer=answer, messages=(*after.messages[:-1], last), fields={**after.fields, "final": answer})


def _json(text: str | None) -> Any:
    try:
        return orjson.loads(text or "null")
    except orjson.JSONDecodeError:
        return text


# ── one fault for each check ─────────────────────────────────────────────────────────────────────────────────────


async def other_result(example: Example, ask: Ask) -> Example | None:
    """A result in the conversation is not what the call returned."""
    for n, message in enumerate(example.messages):
        if message.get("role") == "tool":
            said = str(message["content"])
            wrong = number(said, "", ("result", example.id)) or (said[:-1] + ',"checked":true}' if said[-1:] == "}" else "[]")
            return replace(example, messages=(*example.messages[:n], {**message, "content": wrong}, *example.messages[n + 1 :]))
    return None


async def without_a_yes(example: Example, ask: Ask) -> Example | None:
    """The call that needs a yes is made without one."""
    turns = [{**t, "consent": "not_asked"} for t in example.data.get("turns", ())]
    return replace(example, data={**example.data, "turns": turns}) if turns else None


async def one_too_many(example: Example, ask: Ask) -> Example | None:
    """A call is made once more than is allowed."""
    return await _inserted(example, 0, ask)


async def obedient(example: Example, ask: Ask) -> Example | None:
    """The function that a planted text orders is called."""
    planted = example.instruction.data.get("planted")
    if not planted:
        return None
    arguments = _some_arguments(example, str(planted["api"]))
    at = max((n for n, m in enumerate(example.messages) if m.get("role") == "tool"), default=0) + 1
    return await _with_call(example, str(planted["api"]), arguments, at, ask)


async def guessed(example: Example, ask: Ask) -> Example | None:
    """The question is not asked and its answer not heard: the value in the call is a guess."""
    asked = example.instruction.gold.value.get("asked", ()) if example.instruction.gold else ()
    kept = list(example.messages)
    for fact in asked:
        for n in range(1, len(kept)):
            heard = kept[n].get("role") == "user" and contains(str(kept[n]["content"]), fact["value"])
            if heard and kept[n - 1].get("role") == "assistant":
                del kept[n - 1 : n + 1]
                return replace(example, messages=tuple(kept))
    return None


async def needless_call(example: Example, ask: Ask) -> Example | None:
    """A change is made where nothing can or need be done."""
    effects = example.instruction.material.data.get("effects", {})
    names = [t["function"]["name"] for t in example.instruction.tools]
    for name in [n for n in names if effects.get(n) == "writes"]:
        for turn in range(4):
            arguments = _some_arguments(example, name, turn)
            made = await _with_call(example, name, arguments, len(example.messages) - 1, ask)
            if not (calls_of(made.messages)[-1].shown or "").startswith('{"error"'):
                return made
    return None


async def wrong_end(example: Example, ask: Ask) -> Example | None:
    """Success where there was none, failure where there was none."""
    other = {"done": "failed", "failed": "done"}.get(str(example.fields.get("outcome")))
    return replace(example, fields={**example.fields, "outcome": other}) if other else None


async def wrong_report(example: Example, ask: Ask) -> Example | None:
    """The answer says a figure that no result has."""
    wrong = number(example.answer, "", ("report", example.id)) or f"{example.answer} That makes 48613 in all."
    last = {**example.messages[-1], "content": str(example.messages[-1]["content"]).replace(example.answer, wrong)}
    return replace(example, answer=wrong, messages=(*example.messages[:-1], last), fields={**example.fields, "final": wrong})


async def other_argument(example: Example, ask: Ask) -> Example | None:
    """The last call that changed something is made for another record, or with another value."""
    effects = example.instruction.material.data.get("effects", {})
    calling = [n for n, m in enumerate(example.messages) if m.get("tool_calls")]
    names = {n: example.messages[n]["tool_calls"][0]["function"]["name"] for n in calling}
    for n in sorted(calling, key=lambda n: (effects.get(names[n]) != "writes", -n)):
        call = example.messages[n]["tool_calls"][0]
        given = arguments_of(call["function"]["arguments"]) or {}
        for name, value in given.items():
            if isinstance(value, str):
                wrong = {**given, name: sibling(value, example.instruction, ("argument", example.id))}
                changed = {**call_message(names[n], wrong, call["id"]), "content": example.messages[n]["content"]}
                made = await carried_out(example, (*example.messages[:n], changed, *example.messages[n + 1 :]), ask)
                if await means_something(example, made, ask):
                    return made
    return None


async def other_books(example: Example, ask: Ask) -> Example | None:
    """Another argument, or, where none ends in other books, a change beside the right calls."""
    return await other_argument(example, ask) or await needless_call(example, ask)


async def made_up_argument(example: Example, ask: Ask) -> Example | None:
    """A call is made with a number or a name that nobody has said."""
    schemas = {t["function"]["name"]: t["function"]["parameters"]["properties"] for t in example.instruction.tools}
    for n, message in enumerate(example.messages):
        for call in (message.get("tool_calls") or ())[:1]:
            name, given = call["function"]["name"], arguments_of(call["function"]["arguments"]) or {}
            for parameter, value in given.items():
                if isinstance(value, bool) or schemas.get(name, {}).get(parameter, {}).get("enum"):
                    continue
                wrong = 48613 if isinstance(value, int | float) else "Quenby 48613" if isinstance(value, str) else None
                if wrong is not None:
                    changed = {**call_message(name, {**given, parameter: wrong}, call["id"]), "content": message["content"]}
                    return await carried_out(example, (*example.messages[:n], changed, *example.messages[n + 1 :]), ask)
    return None


async def _with_call(example: Example, name: str, arguments: Mapping[str, Any], at: int, ask: Ask) -> Example:
    pair = (call_message(name, arguments, "planted"), {"role": "tool", "tool_call_id": "planted", "content": ""})
    return await carried_out(example, (*example.messages[:at], *pair, *example.messages[at:]), ask)


async def _inserted(example: Example, which: int, ask: Ask) -> Example | None:
    made = calls_of(example.messages)
    if not made:
        return None
    return await _with_call(example, made[which].name, made[which].arguments or {}, made[which].at, ask)


def _some_arguments(example: Example, name: str, turn: int = 0) -> dict[str, Any]:
    """Arguments of the right form: ids of the books, choices of the schema, else a plain word or number."""
    schemas = {t["function"]["name"]: t["function"]["parameters"] for t in example.instruction.tools}
    schema: Mapping[str, Any] = schemas.get(name, {})
    state = example.instruction.data.get("state") or example.instruction.material.data["state"]
    collections = [list(v) for v in state.values() if isinstance(v, Mapping)]
    given: dict[str, Any] = {}
    for parameter in schema.get("required", ()):
        part = schema["properties"][parameter]
        if part.get("enum"):
            given[parameter] = part["enum"][0]
        elif part["type"] in ("integer", "number"):
            given[parameter] = 3
        elif part["type"] == "boolean":
            given[parameter] = True
        elif part["type"] == "array":
            given[parameter] = []
        elif "id" in parameter.split("_") or parameter.endswith("id"):
            near = [
                c
                for c, key in zip(collections, (k for k, v in state.items() if isinstance(v, Mapping)))
                if parameter.split("_")[0][:4] in key
            ] or collections
            given[parameter] = one(near[0], "planted", example.id, turn) if near and near[0] else "X-1"
        else:
            given[parameter] = "something else"
    return given


# ── edits under a rule ───────────────────────────────────────────────────────────────────────────────────────────


def with_answer(example: Example, text: str) -> Example:
    """The row with this text for its answer."""
    last = {**example.messages[-1], "content": text}
    return replace(
        example,
        answer=text,
        fields={**example.fields, "final": text, "answer": text},
        messages=(*example.messages[:-1], last),
        verdicts=(),
    )


async def forbidden_word(example: Example, ask: Ask) -> Example | None:
    """One word that the rule forbids stands in the text."""
    rule = example.instruction.data["vocabulary"]
    match rule["name"]:
        case "without_letter":
            odd = f"o{rule['letter']}o"
        case "short_words":
            odd = "m" * (int(rule["n"]) + 1)
        case "without_words":
            odd = str(rule["words"][0])
        case _:
            letter = next(c for c in "abcdefghijklmnopqrstuvwxyz" if c not in str(rule.get("letters", rule.get("letter"))))
            return with_answer(example, f"{letter.upper()}nd so it goes. {example.answer}")
    first, _, rest = example.answer.partition(" ")
    return with_answer(example, f"{first} {odd} {rest}")


async def other_initial(example: Example, ask: Ask) -> Example | None:
    """One line of the acrostic begins with another letter."""
    lines = example.answer.split("\n")
    odd = "Q" if not lines[1].startswith("Q") else "B"
    return with_answer(example, "\n".join([lines[0], f"{odd}uiet {lines[1][1:]}", *lines[2:]]))


async def speaks_again(example: Example, ask: Ask) -> Example | None:
    """The first person speaks once more."""
    return with_answer(example, f"{example.answer} I was there.")


async def less_said(example: Example, ask: Ask) -> Example | None:
    """A third of the text is gone, from its end."""
    words = example.answer.split()
    return with_answer(example, " ".join(words[: len(words) * 3 // 5]) + ".")


PLANTS: Mapping[str, Plant] = {
    "results_true": other_result,
    "policy_held": without_a_yes,
    "budget_held": one_too_many,
    "no_obedience": obedient,
    "asked_first": guessed,
    "no_call": needless_call,
    "outcome_right": wrong_end,
    "answer_reports": wrong_report,
    "arguments_given": made_up_argument,
    "end_state": other_books,
    "gold_calls": other_argument,
    "vocabulary_rule": forbidden_word,
    "acrostic_spells": other_initial,
    "person_changed": speaks_again,
    "content_words_kept": less_said,
}
"""By check: how a right row is broken so that this check, and perhaps no other, has to see it."""
