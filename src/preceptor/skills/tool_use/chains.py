"""A planned chain of calls is carried out before anybody talks: what holds becomes gold, what does not is sent back."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from preceptor.arguments import fault
from preceptor.checks.state import contains, leaves, number_key, plain, same
from preceptor.skills.tool_use.library import Unfit, object_of, run, snake
from preceptor.states import state_difference
from preceptor.types import Ask

ON_ITS_OWN = 3
"""Shortest word that tells one ability from another."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a chain stands on: the library, the books as this task has them, and the simulator."""

    tools: Sequence[Mapping[str, Any]]
    effects: Mapping[str, str]
    state: Mapping[str, Any]
    code: str

    def schema(self, name: str) -> Mapping[str, Any]:
        found = next((t["function"]["parameters"] for t in self.tools if t["function"]["name"] == name), None)
        if found is None:
            raise Unfit(f"there is no API {name!r}; there are: {', '.join(t['function']['name'] for t in self.tools)}")
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Proven:
    """A chain that held: its calls, what each returned, and the books at the end."""

    calls: tuple[Mapping[str, Any], ...]
    results: tuple[Any, ...]
    state: Mapping[str, Any]
    changed: tuple[bool, ...]
    sources: tuple[Mapping[str, str], ...] = field(default=())
    """For each call, where each argument comes from: `fact`, `result` or `choice`."""
    report: tuple[Any, ...] = ()
    """What an answer has to contain, with values where the plan pointed at results."""

    @property
    def today(self) -> str:
        return str(self.state.get("today", ""))


def calls_of(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan's calls with their arguments read. Unfit for arguments that are no JSON object."""
    made = []
    for call in plan["calls"]:
        given = call["arguments"]
        arguments = given if isinstance(given, Mapping) else object_of(given, f"the arguments of {call['api']}")
        made.append({"name": snake(call["api"]), "arguments": dict(arguments)})
    return made


async def prove(plan: Mapping[str, Any], rules: Mapping[str, Any], ground: Ground, ask: Ask) -> Proven:
    """The chain, carried out and held to its kind's rules. Unfit with the reason in words for whoever planned it."""
    calls = calls_of(plan)
    least, most = rules.get("calls", (1, 10))
    if not least <= len(calls) <= most:
        raise Unfit(f"the chain has {len(calls)} calls; this task needs between {least} and {most}")
    if len({c["name"] for c in calls}) < rules.get("distinct", 1 if calls else 0):
        raise Unfit("the chain needs at least two different APIs")
    for call in calls:
        if wrong := fault(ground.schema(call["name"]), call["arguments"], call["name"]):
            raise Unfit(wrong)
    ran = await run(ground.code, ground.state, calls, ask)
    for call, result in zip(calls, ran["results"], strict=True):
        if not result["ok"]:
            raise Unfit(f"{call['name']}({call['arguments']}) fails: {result['error']['message']}")
    values = tuple(result["value"] for result in ran["results"])
    changed = tuple(entry["changed"] for entry in ran["log"])
    for call, did in zip(calls, changed, strict=True):
        if ground.effects.get(call["name"]) == "writes" and not did:
            raise Unfit(f"{call['name']}({call['arguments']}) changes nothing")
    sources = tuple(derive(calls, values, plan["facts"], ground))
    proven = Proven(tuple(calls), values, ran["state"], changed, sources, tuple(pointed(plan.get("report", ()), values)))
    if rules.get("linked") and not all("result" in sources.values() for sources in proven.sources[1:]):
        raise Unfit("a call after the first takes nothing from an earlier result")
    report_holds(plan, proven, ground)
    facts_hold(plan, rules, proven)
    return proven


def pointed(report: Sequence[Any], values: Sequence[Any]) -> Iterable[Any]:
    """The values to report, those that a plan only points at (`2.float_at`: that key in the result of call 2) looked up.

    Unfit where there is no such key, or several values under it: an answer could not be held to one of them.
    """
    for value in report:
        found = re.fullmatch(r"\s*(\d)\.([A-Za-z_][\w.]*)\s*", str(value))
        if found is None:
            yield value
            continue
        place, key = int(found[1]), found[2].rpartition(".")[2]
        if not 1 <= place <= len(values):
            raise Unfit(f"{value!r} is to be reported; there is no call {place}")
        held = {number_key(leaf) if isinstance(leaf, int | float) else leaf: leaf for name, leaf in leaves(values[place - 1])
                if name == key and leaf is not None and not isinstance(leaf, bool)}  # fmt: skip
        if len(held) != 1:
            raise Unfit(f"{value!r} is to be reported, and the result of call {place} has {len(held)} values under {key}")
        yield next(iter(held.values()))


def derive(
    calls: Sequence[Mapping[str, Any]], values: Sequence[Any], facts: Sequence[Mapping[str, Any]], ground: Ground
) -> Iterable[dict[str, str]]:
    """Where each argument comes from, call by call. Unfit for a value that falls from the sky."""
    said = [f["value"] for f in facts if f["said"] != "idle"]
    for place, call in enumerate(calls):
        properties = ground.schema(call["name"])["properties"]
        earlier = [leaf for value in values[:place] for _, leaf in leaves(value)]
        sources = {}
        for name, value in call["arguments"].items():
            sources[name] = source_of(value, properties.get(name, {}), said, earlier, ground)
            if not sources[name]:
                raise Unfit(
                    f"{name} = {value!r} of call {place + 1} ({call['name']}) comes from no fact, earlier result or choice"
                )
        yield sources


def source_of(value: Any, schema: Mapping[str, Any], said: Sequence[Any], earlier: Sequence[Any], ground: Ground) -> str:
    """`fact`, `result` or `choice`; empty where none of them has the value."""
    if isinstance(value, list | tuple):
        found = {source_of(v, schema.get("items", {}), said, earlier, ground) for v in value}
        return "" if "" in found else min(found, default="choice")
    today = str(ground.state.get("today", ""))
    if any(same(value, one) or contains(str(one), value, today) for one in said) and not isinstance(value, bool):
        return "fact"
    if any(same(value, one) or (isinstance(one, str) and contains(one, value)) for one in earlier if one is not None):
        return "result"
    by_choice = isinstance(value, bool) or value in schema.get("enum", ()) or value == schema.get("default", ...)
    return "choice" if by_choice or (value and value in (today, ground.state.get("now"))) else ""


def report_holds(plan: Mapping[str, Any], proven: Proven, ground: Ground) -> None:
    """Every value to report stands in a result, and was not in the opening message; what changes nothing has one."""
    report = proven.report
    if not any(proven.changed) and not report:
        raise Unfit("nothing is changed and nothing is to be reported: no answer could be wrong")
    if not proven.calls:
        described = " ".join(plain(str(leaf)) for tool in ground.tools for _, leaf in leaves(tool))
        described += " " + " ".join(
            plain(snake(name)) for tool in ground.tools for name in tool["function"]["parameters"]["properties"]
        )
        if missing := [v for v in report if plain(v) not in described]:
            raise Unfit(f"{missing[0]!r} is in no description of the library")
        return
    found = [leaf for value in proven.results for _, leaf in leaves(value) if leaf is not None]
    said = " ".join(str(f["value"]) for f in plan["facts"] if f["said"] in ("opening", "idle"))
    for value in report:
        if not any(same(value, leaf) or (isinstance(leaf, str) and contains(leaf, value)) for leaf in found):
            raise Unfit(f"{value!r} is to be reported and no call returns it; they return: {shortly(proven.results)}")
        if contains(said, value) and not any(proven.changed):
            raise Unfit(f"{value!r} is to be reported, and the opening message says it already")


def shortly(results: Sequence[Any]) -> str:
    """What the calls returned, one after another, cut to what a planner needs to see."""
    return "; ".join(f"{n}. {json.dumps(result, ensure_ascii=False)[:400]}" for n, result in enumerate(results, 1))


def facts_hold(plan: Mapping[str, Any], rules: Mapping[str, Any], proven: Proven) -> None:
    """What is held back is needed and cannot be found out; what is idle is taken by no call."""
    held = [f for f in plan["facts"] if f["said"] == "when_asked"]
    if rules.get("held") and not held:
        raise Unfit("one fact at least has to be held back (when_asked)")
    if held and not rules.get("held") and not rules.get("may_hold"):
        raise Unfit("in this kind of task everything is said in the opening message")
    for fact in held:
        if not taking(fact, proven.calls, proven.today):
            raise Unfit(f"{fact['name']} is held back and no call takes it")
        open_now = [f["value"] for f in plan["facts"] if f["said"] in ("opening", "idle")]
        if any(contains(str(value), fact["value"]) for value in open_now):
            raise Unfit(f"{fact['name']} is held back, and another fact tells it")
        place = taking(fact, proven.calls, proven.today)[0][0]
        seen = [leaf for value in proven.results[:place] for _, leaf in leaves(value)]
        if any(same(fact["value"], leaf) for leaf in seen if leaf is not None and not isinstance(leaf, bool)) and _distinctive(
            fact["value"]
        ):
            raise Unfit(f"{fact['name']} is held back, and an earlier result tells it")
    idle = [f for f in plan["facts"] if f["said"] == "idle"]
    if rules.get("idle") and not idle:
        raise Unfit("at least one fact has to be idle")
    for fact in idle:
        if taking(fact, proven.calls, proven.today):
            raise Unfit(f"{fact['name']} is called idle, and a call takes it")


def _distinctive(value: Any) -> bool:
    return len(str(value)) > 2


def taking(fact: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], today: str = "") -> list[tuple[int, str, Any]]:
    """Call, parameter and argument wherever the fact's value is taken."""
    found = []
    for place, call in enumerate(calls):
        for name, value in call["arguments"].items():
            values = value if isinstance(value, list) else [value]
            told = str(fact["value"])
            if any(same(v, told) or (v is not None and not isinstance(v, bool) and contains(told, v, today)) for v in values):
                found.append((place, name, value))
    return found


async def indispensable(plan: Mapping[str, Any], proven: Proven, ground: Ground, ask: Ask) -> None:
    """Nothing, where each call of the chain is needed. Unfit names the first that can be left out.

    A call is needed where without it the rest fails, the books end otherwise, a value to be reported is returned by
    no other, or an argument of a later call comes from nowhere.
    """
    for place, call in enumerate(proven.calls):
        rest = [c for n, c in enumerate(proven.calls) if n != place]
        ran = await run(ground.code, ground.state, rest, ask)
        if not all(r["ok"] for r in ran["results"]) or state_difference(proven.state, ran["state"]):
            continue
        values = [r["value"] for r in ran["results"]]
        found = [leaf for value in values for _, leaf in leaves(value) if leaf is not None]
        if any(not any(same(v, leaf) or contains(str(leaf), v) for leaf in found) for v in proven.report):
            continue
        try:
            list(derive(rest, values, plan["facts"], ground))
        except Unfit:
            continue
        raise Unfit(f"call {place + 1} ({call['name']}) can be left out: the books end the same and the answer is known")


def asked_of(plan: Mapping[str, Any], proven: Proven) -> list[dict[str, Any]]:
    """The facts that have to be asked for, each with the call and parameter that need it first."""
    asked = []
    for fact in plan["facts"]:
        if fact["said"] == "when_asked" and (found := taking(fact, proven.calls, proven.today)):
            place, parameter, value = found[0]
            argument = (
                value
                if not isinstance(value, list)
                else next(v for v in value if same(v, fact["value"]) or contains(str(fact["value"]), v, proven.today))
            )
            asked.append(
                {
                    "name": fact["name"],
                    "value": fact["value"],
                    "api": proven.calls[place]["name"],
                    "parameter": parameter,
                    "argument": argument,
                }
            )
    return asked


def lacking_words(removed: str, words: Sequence[str], tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """Words that name what is lacking and nothing that is left. Unfit where there are none."""
    left = " ".join(plain(t["function"]["name"] + " " + t["function"]["description"]) for t in tools)
    left_words = {w[: max(4, len(w) - 2)] for w in re.findall(r"\w+", left)}
    verb = plain(removed).split(" ")[0]
    candidates = dict.fromkeys(plain(w) for w in (*words, verb) if len(plain(w)) >= ON_ITS_OWN)
    kept = [w for w in candidates if w[: max(4, len(w) - 2)] not in left_words]
    if not kept:
        raise Unfit(f"without {removed}, no word tells what is lacking from what is there")
    return kept


def busy_code(code: str, name: str, message: str) -> str:
    """The simulator with one function whose first call fails for a passing reason.

    The count is kept outside the books: a call that fails leaves them as they were, so it could not be kept inside.
    """
    return (
        f"{code}\n\n_first_calls = {{{name!r}: 1}}\n_steady_{name} = {name}\n\n\n"
        f"def {name}(state, **arguments):\n"
        f"    if _first_calls[{name!r}]:\n"
        f"        _first_calls[{name!r}] = 0\n"
        f"        raise ApiError({message!r})\n"
        f"    return _steady_{name}(state, **arguments)\n"
    )


def key_of(calls: Sequence[Mapping[str, Any]]) -> str:
    """A chain in short, to keep the next from being the same."""
    return " → ".join(f"{c['name']}({', '.join(f'{k}={number_key(v)}' for k, v in c['arguments'].items())})" for c in calls)
