"""An API library: declarations from what agents wrote, a text to read, and a trial of the simulator behind it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.arguments import fault
from preceptor.checks.state import leaves
from preceptor.errors import ToolError
from preceptor.states import state_difference
from preceptor.types import Ask

NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")
KINDS = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "list": "array"}
WRAPPED = 90
"""A line of the pack's text that is longer was broken for its length; one that is shorter, for its sense."""
NO_SUCH = "zz-no-such-000"


class Unfit(Exception):
    """A library, plan or simulator cannot be used; the words are for whoever wrote it."""


def declaration(api: Mapping[str, Any]) -> dict[str, Any]:
    """What an agent wrote of one API, as OpenAI declares a function. Unfit where it contradicts itself."""
    name = snake(str(api["name"]))
    if not NAME.fullmatch(name):
        raise Unfit(f"{api['name']!r} is no name for a function: verb_noun in snake_case")
    properties, required = {}, []
    for given in api.get("parameters", ()):
        parameter = snake(str(given["name"]))
        parameter = f"{name.rpartition('_')[2]}_state" if parameter == "state" else parameter  # the simulator's own word
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", parameter) or parameter in properties or parameter == "state":
            raise Unfit(f"{name}: {given['name']!r} cannot be a parameter's name")
        made: dict[str, Any] = {"type": KINDS[given["kind"]], "description": given["about"]}
        if given["kind"] == "list":
            made["items"] = {"type": "string"}
        if choices := [c for c in given.get("choices", ()) if c.strip()]:
            made["enum" if given["kind"] != "list" else "items"] = (
                choices if given["kind"] != "list" else {"type": "string", "enum": choices}
            )
        if given["kind"] in ("integer", "number") and "enum" in made:
            made["enum"] = [float(c) if "." in c else int(c) for c in made["enum"] if re.fullmatch(r"-?\d+(\.\d+)?", c)]
        properties[parameter] = made
        required += [parameter] if given["required"] else []
    lines = (" ".join(str(api["does"]).split()), *headed("Returns", api["returns"]), *headed("Fails when", api["fails_when"]))
    about = "\n".join(lines)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def snake(name: str) -> str:
    """`renewLoan`, `Renew loan` and `renew-loan` as `renew_loan`."""
    return re.sub(r"[\s\-.]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower().strip("_")


def headed(head: str, text: Any) -> list[str]:
    """`Returns: …`, a line of its own, so that it reads well whether a clause follows, a phrase or a list."""
    said = re.sub(r"(?i)^(it\s+)?(returns|fails when|fails if|fails|when|if)\b[\s:]+", "", " ".join(str(text).split()))
    if head != "Returns" and re.match(r"(?i)(never|nothing|none|no errors?|n/a)\b", said):
        return []
    return [f"{head}: {said.rstrip('.')}."] if said else []


def declarations(apis: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Declarations of `apis`; Unfit where one bears the name of another or of a known one."""
    made = [declaration(api) for api in apis]
    names = [tool["function"]["name"] for tool in (*known, *made)]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise Unfit(f"two APIs are named {twice[0]}")
    return made


def names_of(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of declared functions."""
    return [tool["function"]["name"] for tool in tools]


def readable(data: Mapping[str, Any]) -> str:
    """The library as a person reads it: setting, then each API with its parameters."""
    lines = [f"# {data['title']}", "", data["setting"]]
    for tool in data["apis"]:
        function = tool["function"]
        schema = function["parameters"]
        lines += ["", f"## {function['name']}", "", function["description"], ""]
        for name, parameter in schema["properties"].items():
            need = "required" if name in schema["required"] else "optional"
            choices = parameter.get("enum") or parameter.get("items", {}).get("enum")
            among = f", one of {', '.join(map(str, choices))}" if choices else ""
            default = f", default {parameter['default']}" if "default" in parameter else ""
            lines.append(f"- `{name}` ({parameter['type']}, {need}{among}{default}): {parameter.get('description', '')}")
    if data.get("policy"):
        lines += ["", "## Rules of the house", "", *(f"- {rule['words']}" for rule in data["policy"])]
    return "\n".join(lines).strip()


def unwrapped(text: str) -> str:
    """The text with each paragraph on one line; a placeholder or list item that begins a line stays on its own."""
    return re.sub(r"(?<=\S)[ \t]*\n(?=[^\s{#-])", lambda m: " " if _goes_on(text, m.start()) else "\n", text.strip())


def _goes_on(text: str, at: int) -> bool:
    """Whether a line was broken for its length alone: short lines end where they end."""
    line = text[:at].rpartition("\n")[2]
    return len(line) > WRAPPED


FEWEST = 3
"""Records of a collection that is looked up by id: with fewer, none could be taken for another."""


def books_of(fields: Mapping[str, Any], tools: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The start state from what the database agent wrote: collections by id, and single records as they are.

    Unfit where a record is no JSON object, two share an id, a collection is too small, or a single record is one that
    the library looks up by id.
    """
    state: dict[str, Any] = {"today": fields["today"], "now": fields["now"]}
    for collection in fields["collections"]:
        name = snake(collection["name"])
        if name in state:
            raise Unfit(f"two collections are named {name}")
        records = [object_of(text, f"a record of {name}") for text in collection["records"]]
        state[name] = single(name, records, tools) if collection.get("single") else held_by_id(name, records)
    if not any(isinstance(value, Mapping) and all(isinstance(r, Mapping) for r in value.values()) for value in state.values()):
        raise Unfit("one collection at least has to hold records that are looked up by id")
    return state


def held_by_id(name: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The records by their ids."""
    held = {str(r["id"]): r for r in records if "id" in r}
    if len(held) < len(records):
        raise Unfit(f"{name}: each record needs an id of its own")
    if len(held) < FEWEST:
        raise Unfit(f"{name} has {len(held)} records; what is looked up by id needs {FEWEST}: one has to look like another")
    return held


def single(name: str, records: Sequence[dict[str, Any]], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The one record of a collection of which there is only one: settings, a counter, the tariff of the day."""
    parameters = {p for tool in tools for p in tool["function"]["parameters"]["properties"]}
    if len(records) != 1 or f"{name}_id" in parameters or f"{name.removesuffix('s')}_id" in parameters:
        raise Unfit(f"{name} is no single record: it has {len(records)} of them, or is looked up by id; give {FEWEST} or more")
    return records[0]


def object_of(text: str, what: str) -> dict[str, Any]:
    """A JSON object from text; Unfit where it is none."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unfit(f"{what} is not JSON ({error}): {text[:160]}") from None
    if not isinstance(value, dict):
        raise Unfit(f"{what} is not a JSON object: {text[:160]}")
    return value


def policy_of(rules: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules that code can hold somebody to: those that name an API of the library and what they need."""
    names, kept = set(names_of(tools)), []
    for rule in rules:
        given = {k: v for k, v in rule.items() if v is not None} | {"api": snake(str(rule["api"]))}
        needs = {"first": "other", "most": "argument"}.get(rule["rule"])
        if given["rule"] == "first":
            given["other"] = snake(str(rule.get("other") or ""))
        whole = given["api"] in names and (needs is None or given.get(needs)) and (needs != "other" or given["other"] in names)
        if whole and (rule["rule"] != "most" or "limit" in given):
            kept.append(given)
    return kept


# ── the trial ────────────────────────────────────────────────────────────────────────────────────────────────────


async def stand_trial(
    tools: Sequence[Mapping[str, Any]],
    effects: Mapping[str, str],
    code: str,
    state: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
    ask: Ask,
) -> list[dict[str, Any]]:
    """The sample calls with what they return, where the simulator keeps what the library promises; Unfit with every fault.

    Each API succeeds on its sample, after those that it names; those that read change nothing, those that write change
    something; unknown ids are refused; the same calls give the same results.
    """
    calls = [
        {
            "name": snake(s["api"]),
            "arguments": object_of(s["arguments"], f"the sample of {s['api']}"),
            "after": [snake(name) for name in s.get("after") or ()],
        }
        for s in samples
    ]
    faults, returned = sample_faults(tools, calls), []
    for call in calls if not faults else ():
        wrong, value = await _tried(call, calls, effects, code, state, ask)
        faults += wrong
        returned.append({"name": call["name"], "arguments": call["arguments"], "after": call["after"], "returns": value})
    if not faults:
        faults = await _parameter_faults(tools, code, state, ask)
    if faults:
        raise Unfit("\n".join(dict.fromkeys(faults))[:3000])
    return returned


def sample_faults(tools: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """APIs without a sample, samples of nothing, samples that break their schema, and samples after what has none."""
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    sampled = [c["name"] for c in calls]
    faults = [f"no sample call of {name}" for name in schemas if name not in sampled]
    for call in calls:
        if call["name"] not in schemas:
            faults.append(f"the sample {call['name']} is no API of the library")
        elif wrong := fault(schemas[call["name"]], call["arguments"]):
            faults.append(f"the sample of {call['name']}: {wrong}")
        faults += [f"{call['name']} after {name}, which has no sample" for name in call["after"] if name not in sampled]
    return faults


async def _tried(
    call: Mapping[str, Any],
    calls: Sequence[Mapping[str, Any]],
    effects: Mapping[str, str],
    code: str,
    state: Mapping[str, Any],
    ask: Ask,
) -> tuple[list[str], Any]:
    """What is wrong with one API by its sample, and what the sample returns."""
    name = call["name"]
    before = [bare(next(c for c in calls if c["name"] == other)) for other in call["after"]]
    ran = await run(code, state, [*before, bare(call)], ask)
    for made, result in zip([*before, call], ran["results"], strict=True):
        if not result["ok"]:
            told = f"{made['name']}({made['arguments']}) failed: {result['error']['type']}: {result['error']['message']}"
            return [told if made is call else f"before {name}: {told}"], None
    result = ran["results"][-1]
    changed = ran["log"][-1]["changed"]
    faults = []
    if effects[name] == "reads" and changed:
        difference = "" if before else f": {state_difference(state, ran['state'])}"
        faults.append(f"{name} reads, and yet changed the books{difference}")
    if effects[name] == "writes" and not changed:
        faults.append(f"{name} writes, and yet changed nothing")
    if (await run(code, state, [*before, bare(call)], ask, again=True))["results"][-1] != result:
        faults.append(f"{name} gave two results for the same call on the same books")
    keys = {str(key) for value in state.values() if isinstance(value, Mapping) for key in value}
    for parameter, value in call["arguments"].items():
        if isinstance(value, str) and value in keys:
            wrong = {"name": name, "arguments": {**call["arguments"], parameter: NO_SUCH}}
            told_of = (await run(code, state, [*before, wrong], ask))["results"][-1]
            if told_of["ok"] and any(v not in (None, [], {}) for _, v in leaves(told_of["value"])):
                faults.append(f"{name} accepted the unknown {parameter} {NO_SUCH!r}")
            elif not told_of["ok"] and told_of["error"].get("fault"):
                faults.append(f"{name} broke on an unknown {parameter}: {told_of['error']['message']}; raise ApiError instead")
    return faults, result["value"]


def bare(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": call["arguments"]}


async def _parameter_faults(tools: Sequence[Mapping[str, Any]], code: str, state: Mapping[str, Any], ask: Ask) -> list[str]:
    told = {f["name"]: f for f in (await run(code, state, [], ask)).get("functions", ())}
    faults = []
    for tool in tools:
        function = tool["function"]
        has = told.get(function["name"])
        wanted = set(function["parameters"]["properties"])
        if has is not None and set(has["parameters"]) != wanted:
            faults.append(f"{function['name']} takes {', '.join(has['parameters'])}; the library says {', '.join(wanted)}")
        elif has is not None and not set(has["required"]) <= set(function["parameters"]["required"]):
            faults.append(
                f"{function['name']}: {', '.join(has['required'])} have no default; the library says that only "
                f"{', '.join(function['parameters']['required']) or 'none'} are required"
            )
    return faults


async def run(
    code: str, state: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], ask: Ask, *, again: bool = False
) -> dict[str, Any]:
    """The simulator's answer. `again` makes it run anew where the journal would have answered. Unfit where it cannot run."""
    sent = code + ("\n# once more\n" if again else "")
    try:
        ran: dict[str, Any] = await ask.use("simulator", code=sent, state=state, calls=list(calls))
    except ToolError as error:
        raise Unfit(str(error)) from None
    return ran
