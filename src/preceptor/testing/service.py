"""The simulated teacher in tool use: a small registry named after the document, plans on its books, and conversations.

What the document names goes into names and records; what the calls do is the same registry every time. The assistant
walks the gold way, which the oracle shows it, or that way with one thing wrong.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from preceptor.checks.state import contains, leaves
from preceptor.draws import fraction, one
from preceptor.errors import Declined
from preceptor.testing.invent import PEOPLE, Source, clipped, invented
from preceptor.testing.mutators import other_arguments, sibling
from preceptor.types import Agent, Call, Completion, Instruction, Request

PLACES = ("hall 12", "yard C4", "shelf 114", "bay B27", "vault 31", "loft 208")
SHALL = "Shall I go ahead with it?"
PLAIN_NOUN = re.compile(r"(?<![\w])[a-z]{4,9}(?![\w])")
CODE = """def _entry(state, key):
    found = state["{noun}s"].get(str(key))
    if found is None:
        raise ApiError("no such entry: " + str(key) + "; look it up first")
    return found


def _open(state, key):
    found = _entry(state, key)
    if found["status"] == "closed":
        raise ApiError("the entry " + str(key) + " is closed")
    return found


def find_{noun}(state, words):
    wanted = words.lower().split()
    kept = [r for r in state["{noun}s"].values() if all(w in r["name"].lower() for w in wanted)]
    return [{{"id": r["id"], "name": r["name"], "status": r["status"]}} for r in kept]


def get_{noun}(state, {noun}_id):
    return dict(_entry(state, {noun}_id))


def move_{noun}(state, {noun}_id, place, days):
    found = _open(state, {noun}_id)
    if found["place"] == place:
        raise ApiError("it is there already")
    found["place"], found["days"] = place, days
    return {{"id": found["id"], "place": place, "days": days}}


def scrap_{noun}(state, {noun}_id, reason):
    found = _open(state, {noun}_id)
    found["status"] = "closed"
    found["reason"] = reason
    return {{"id": found["id"], "status": "closed"}}


def pause_{noun}(state, {noun}_id, until="open end"):
    found = _open(state, {noun}_id)
    if found.get("paused") == until:
        raise ApiError("it is paused already")
    found["paused"] = until
    return {{"id": found["id"], "paused": until}}
"""


def noun_of(source: Source) -> str:
    """A word of the document that things of a registry could be called by."""
    words = [w for s in source.quiet for w in PLAIN_NOUN.findall(s)]
    plain = [w for w in dict.fromkeys(words) if not w.endswith(("ing", "ed", "ly", "s")) and w not in ("move", "find", "pause")]
    return one(plain, "noun", source.text[:200]) if plain else "entry"


def apis(noun: str) -> list[dict[str, Any]]:
    """The five calls of the registry, as an agent would describe them."""
    key = {"name": f"{noun}_id", "kind": "string", "about": "the id that a search gives", "required": True, "choices": []}

    def text(name: str, about: str, required: bool = True) -> dict[str, Any]:
        return {"name": name, "kind": "string", "about": about, "required": required, "choices": []}

    def api(name: str, does: str, effect: str, returns: str, fails: str, *parameters: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": f"{name}_{noun}",
            "does": does,
            "effect": effect,
            "returns": returns,
            "fails_when": fails,
            "parameters": list(parameters),
        }

    unknown = "there is nothing with that id"
    return [
        api(
            "find",
            "Looks things up by what a person remembers of their name.",
            "reads",
            "a list of id, name and status",
            "never; the list may be empty",
            text("words", "one or more words of the name"),
        ),
        api("get", "Shows one record in full, as it stands in the books.", "reads", "the whole record", unknown, key),
        api(
            "move",
            "Brings one thing to another place and notes where it stands now.",
            "writes",
            "id, place and days",
            "it is there already, or it is closed",
            key,
            text("place", "where it is to stand, such as bay B27"),
            {**text("days", "for how many days it stands there"), "kind": "integer"},
        ),
        api(
            "scrap",
            "Scraps one thing for good; this cannot be taken back.",
            "writes",
            "id and status",
            "it has gone already",
            key,
            text("reason", "why, in a few words"),
        ),
        api(
            "pause",
            "Takes one thing out of use for a time and notes until when.",
            "writes",
            "id and day",
            "it is paused already, or it is closed",
            key,
            text("until", "the last day, written YYYY-MM-DD", False),
        ),
    ]


def describes(teacher: Any, agent: Agent, request: Request) -> Any:
    """An API library of the document's things, for whichever agent writes one."""
    from preceptor.testing.simulated import ground

    source = ground(request)
    noun = noun_of(source)
    fields = invented(agent.fields, source, teacher.place(request))
    setting = f"A registry of every {noun} that the house keeps; its clerks ring up to have one found, moved or paused."
    return {**fields, "setting": setting, "title": f"{noun.capitalize()} registry", "apis": apis(noun)}


def grows(teacher: Any, agent: Agent, request: Request) -> Any:
    raise Declined("nothing that resembles it belongs into this library")


def fills(teacher: Any, agent: Agent, request: Request) -> Any:
    """Books with names out of the document: a near namesake, one that is closed, odd sums."""
    document = Source(request.slots["document"].text)
    noun = _noun(str(request.slots["library"]))
    labels = [clipped(n, 40) for n in dict.fromkeys((*document.names, *PEOPLE))][:6]
    names = [*labels, f"{labels[0]} the younger"]
    records = [
        {
            "id": f"{noun[:2].upper()}-{2041 + 37 * n}",
            "name": name,
            "place": PLACES[n % len(PLACES)],
            "weight_kg": 117 + 61 * n,
            "status": "closed" if n == 3 else "open",
            "note": "stands behind the door",
        }
        for n, name in enumerate(names)
    ]
    return {
        "today": "2025-03-14",
        "now": "10:40",
        "policy": [],
        "collections": [{"name": f"{noun}s", "records": [orjson.dumps(r).decode() for r in records]}],
    }


def _noun(library: str) -> str:
    found = re.search(r"^## find_(\w+)", library, re.M)
    return found[1] if found else "entry"


def programmes(teacher: Any, agent: Agent, request: Request) -> Any:
    """The simulator of the registry, with a call of each API that works on these books."""
    noun, rows = _noun(str(request.slots["library"])), rows_of(str(request.slots["state"]))
    first = next(r for r in rows if r["status"] == "open")
    key = {f"{noun}_id": first["id"]}
    samples = {
        "find": {"words": first["name"].split()[0]},
        "get": key,
        "move": {**key, "place": "attic 9", "days": 14},
        "scrap": {**key, "reason": "worn out"},
        "pause": {**key, "until": "2025-05-02"},
    }
    made = [{"api": f"{name}_{noun}", "arguments": orjson.dumps(given).decode()} for name, given in samples.items()]
    return {"code": CODE.format(noun=noun), "samples": made}


def rows_of(state: str) -> list[dict[str, Any]]:
    """The records in books that are written one a line."""
    found = [line.split(": ", 1)[1] for line in state.splitlines() if re.match(r"  \S+: \{", line)]
    return [orjson.loads(text) for text in found]


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────


def plans(teacher: Any, agent: Agent, request: Request) -> Any:
    """A chain on these books that comes to what the kind asks for."""
    slots = request.slots
    noun, kind = _noun(str(slots["library"])), slots["kind"]
    rows = [r for r in rows_of(str(slots["state"])) if r["status"] == "open"]
    place = (*teacher.place(request)[:2], str(slots["state"]), kind.name)
    row = one(rows, *place, name=lambda r: str(r["id"]))
    data = kind.data
    calls, facts, more = _chain(data, noun, row, place)
    if data.get("held"):
        facts = [{**f, "said": "when_asked"} if f["name"] == "the new place" else f for f in facts]
    if data.get("idle"):
        facts += [{"name": "the badge", "value": "badge 7714", "said": "idle"}]
    made = invented(agent.fields, Source(str(slots["library"])), place)
    for name in ("lacking", "removed", "change", "report"):
        made.pop(name, None)
    return {
        **made,
        "person": "A storeman with gloves on, who types with one finger between two deliveries.",
        "mood": "hurried",
        "words": 25,
        "goal": "to have one thing of the house seen to before noon",
        "report": [],
        **more,
        "calls": [{"why": "the errand needs it", "api": name, "arguments": orjson.dumps(a).decode()} for name, a in calls],
        "facts": facts,
    }


Chain = tuple[list[tuple[str, dict[str, Any]]], list[dict[str, Any]], dict[str, Any]]


def _chain(data: Mapping[str, Any], noun: str, row: Mapping[str, Any], place: Sequence[Any]) -> Chain:
    """Calls, facts and what else the plan says."""
    where = one([p for p in PLACES if p != row["place"]], *place, "where")
    key = {f"{noun}_id": row["id"]}
    the_id = {"name": "the number", "value": row["id"], "said": "opening"}
    the_name = {"name": "what it is called", "value": row["name"], "said": "opening"}
    the_place = {"name": "the new place", "value": where, "said": "opening"}
    reason = {"name": "the reason", "value": "cracked rim", "said": "opening"}
    most = int(data["calls"][1])
    if most == 0:
        return [], [], {"report": ["YYYY-MM-DD"]}
    find = (f"find_{noun}", {"words": row["name"]})
    scrap = (f"scrap_{noun}", {**key, "reason": reason["value"]})
    days = int(one(("13", "24", "35", "48"), *place, "days"))
    stays = {"name": "how many days", "value": str(days), "said": "opening"}
    move = (f"move_{noun}", {**key, "place": where, "days": days})
    if data.get("removes") == "one":
        return [scrap], [the_id, reason], {"lacking": ["scrap", "discard"]}
    if data.get("removes"):
        return [find, scrap], [the_name, reason], {"lacking": ["scrap", "discard"]}
    if data.get("injects"):
        return [(f"get_{noun}", key), move], [the_id, the_place, stays], {"report": [str(row["weight_kg"])]}
    if data.get("confirm"):
        return [scrap], [the_id, reason], {}
    if data.get("change"):
        other = one([p for p in PLACES if p not in (where, row["place"])], *place, "other")
        later = {"name": "the other place", "value": other, "said": "later"}
        return (
            [move, (f"move_{noun}", {**key, "place": other, "days": days})],
            [the_id, the_place, stays, later],
            {"change": f"Sorry, not there after all: {other}."},
        )
    if int(data["calls"][0]) > 1 or data.get("linked") or data.get("budget"):
        return [find, move], [the_name, the_place, stays], {}
    return [move], [the_id, the_place, stays], {}


def words(teacher: Any, agent: Agent, request: Request) -> Any:
    """The first message: every fact to the letter, nothing that is held back."""
    slots = request.slots
    said = "; ".join(f"{fact['name']}: {fact['value']}" for fact in slots["facts"])
    tail = f" No more than {slots['budget']} requests, please, the line is slow." if slots.get("budget") else ""
    return {"message": f"Could you see to this for me? {said}.{tail}" if said else "How is that to be written, please?" + tail}


def extends(teacher: Any, agent: Agent, request: Request) -> Any:
    """The editor: the parent's plan, one step further in the direction of the goal. Declines where it cannot be."""
    from preceptor.testing.simulated import OPEN

    parent, goal = OPEN.get(), request.slots["goal"]
    if parent is None:
        raise Declined("the task stands as it is")
    data, promise = parent.data, goal.data["proves"]
    calls = [{"why": "as before, it is needed", "api": c["name"], "arguments": dict(c["arguments"])} for c in data["plan"]]
    facts, more = [dict(f) for f in data["facts"]], {}
    if promise == "calls":
        extra, fact = _again(parent)
        calls, facts = [*calls, {"why": "the second one needs it too", **extra}], [*facts, fact]
    elif promise == "turns":
        facts = _held(parent, facts)
    elif promise in ("fault", "rule"):
        writes = [c["api"] for c in calls if parent.material.data["effects"].get(c["api"]) == "writes"]
        if not writes:
            raise Declined("nothing is changed here")
        more = {"bound": writes[-1]}
        more |= {"rule": "Tell the caller what will happen, and wait for a yes."} if promise == "rule" else {}
    elif promise == "noise":
        facts = [*facts, {"name": "the badge", "value": "badge 7714", "said": "idle"}]
    wired = [{**c, "arguments": orjson.dumps(c["arguments"]).decode()} for c in calls]
    return {
        "goal": "to have this seen to, and what goes with it, before noon",
        "calls": wired,
        "facts": facts,
        "report": [str(v) for v in data["report"]],
        **more,
    }


def _again(parent: Instruction) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last call that names a record, made for another record of its collection; and the fact that gives its id."""
    for call in reversed(parent.data["plan"]):
        for name, value in call["arguments"].items():
            for collection in parent.material.data["state"].values():
                if isinstance(collection, Mapping) and value in collection:
                    other = sibling(str(value), parent, ("again", parent.id))
                    if other in collection:
                        arguments = {**call["arguments"], name: other}
                        return {"api": call["name"], "arguments": arguments}, {
                            "name": "the second number",
                            "value": other,
                            "said": "opening",
                        }
    raise Declined("there is no second one to do it for")


def _held(parent: Instruction, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    arguments = [str(v) for c in parent.data["plan"] for _, v in leaves(c["arguments"])]
    for n, fact in enumerate(facts):
        if fact["said"] == "opening" and str(fact["value"]) in arguments:
            return [*facts[:n], {**fact, "said": "when_asked"}, *facts[n + 1 :]]
    raise Declined("nothing that was said could be left out")


# ── conversations ────────────────────────────────────────────────────────────────────────────────────────────────


def replies_as_user(teacher: Any, agent: Agent, request: Request) -> Any:
    """The person tells what was asked for, says yes, or changes their mind."""
    slots = request.slots
    if slots.get("change"):
        extra = "; ".join(f"{f['name']}: {f['value']}" for f in slots["known"] if not contains(slots["change"], f["value"]))
        return {"asked": [], "consent": "not_asked", "message": f"{slots['change']} {extra}".strip()}
    last = str(slots["conversation"]).rsplit("Assistant:", 1)[-1]
    if SHALL in last:
        return {"asked": [], "consent": "yes", "message": "Yes, go ahead."}
    asked = [f for f in slots["known"] if f["name"] in last] or list(slots["known"])[:1]
    said = "; ".join(f"{f['name']}: {f['value']}" for f in asked)
    return {"asked": [f["name"] for f in asked], "consent": "not_asked", "message": said or "I know no more than that."}


@dataclass(frozen=True)
class Turn:
    """One thing that the assistant does: a call, or something that it says."""

    said: str = ""
    call: tuple[str, Mapping[str, Any]] | None = None


def way(instruction: Instruction) -> list[Turn]:
    """The gold way: ask what is held back, make the calls, get a yes where one is needed, report."""
    assert instruction.gold is not None
    gold = instruction.gold.value
    if gold["outcome"] == "failed":
        return [Turn(f"FAILED None of the functions here does it. What is lacking is a way to {gold['lacking'][0]}.")]
    turns = [Turn(f"Before I can do that: what is {fact['name']}?") for fact in gold["asked"]]
    bound = {rule["api"] for rule in gold["rules"] if rule["rule"] == "confirm"}
    later = [f["value"] for f in instruction.data["facts"] if f["said"] == "later"]
    turned = not (later and instruction.data.get("change"))
    for call in gold["calls"]:
        values = [v for _, v in leaves(call["arguments"])]
        if not turned and any(contains(str(v), later[0]) for v in values):
            turns.append(Turn("STOP That is done."))
            turned = True
        if call["name"] in bound:
            turns.append(Turn(f"This is what will be done: {', '.join(map(str, values))}. {SHALL}"))
        turns.append(Turn(call=(call["name"], call["arguments"])))
    if not turned:
        turns.append(Turn("STOP That is done."))
    report = "; ".join(map(str, gold["report"]))
    return [*turns, Turn(f"STOP From the records: {report}." if report else "STOP That is done.")]


def astray(name: str, instruction: Instruction, turns: Sequence[Turn]) -> list[Turn] | None:
    """The way with one thing wrong: an argument, an entity, a call left out or reordered, a unit, a believed success."""
    at, calling = (name, instruction.id), [n for n, t in enumerate(turns) if t.call]
    made = list(turns)
    if name == "polarity":
        if made[-1].said.startswith("FAILED"):
            return [*made[:-1], Turn("STOP That is done.")]
        return [Turn("FAILED None of the functions here does it.")]
    effects = instruction.material.data.get("effects", {})
    writes = [n for n in calling if (call := made[n].call) and effects.get(call[0]) == "writes"]
    if name in ("number", "entity", "argument", "unit"):
        for n in reversed(writes):  # what an earlier call did, a later one may have set right
            call = made[n].call
            assert call is not None
            wrong = other_arguments(name, call[1], instruction, at)
            if wrong is not None:
                made[n] = Turn(call=(call[0], wrong))
                return made
        return None
    if name in ("scope", "span") and writes:
        gone = writes[0] if name == "scope" else writes[-1]
        return [*made[:gone], *made[gone + 1 :]]
    if name == "order" and len(writes) > 1:
        made[writes[0]], made[writes[-1]] = made[writes[-1]], made[writes[0]]
        return made
    return None


def assists(teacher: Any, agent: Agent, request: Request) -> Any:
    """The assistant's next message: the next turn of its way; a call that failed for a passing reason is made again."""
    from preceptor.testing.simulated import OPEN

    instruction = OPEN.get()
    if instruction is None or instruction.gold is None:
        return "STOP That is done."
    turns = way(instruction)
    if teacher.wrong and fraction(teacher.seed, "wrong", instruction.id) < teacher.share:
        wrong = astray(teacher.wrong, instruction, turns)
        if wrong is None:
            return Completion("", finish="content_filter")  # nothing to change: no row
        teacher.spoilt[instruction.id] = teacher.wrong
        turns = wrong
    at = sum(1 for _ in _done(request.messages))
    turn = turns[min(at, len(turns) - 1)]
    if turn.call is None:
        return Completion(turn.said)
    name, arguments = turn.call
    raw = orjson.dumps(dict(arguments)).decode()
    return Completion("", calls=(Call(name, dict(arguments), f"c{len(request.messages)}", raw),), finish="tool_calls")


def _done(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The assistant's messages so far; a call whose result was an error has still to be made, once."""
    failed: set[str] = set()
    for n, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        results = [str(m.get("content")) for m in messages[n + 1 : n + 2] if m.get("role") == "tool"]
        made = orjson.dumps(message.get("tool_calls") and message["tool_calls"][0]["function"]).decode()
        if results and results[0].startswith('{"error"') and made not in failed:
            failed.add(made)
            continue
        yield message


HANDLERS = {
    "1_transform/api_synthesis": describes,
    "1_transform/api_from_text": describes,
    "1_transform/api_from_openapi": describes,
    "1_transform/grow_by_hypothesis": grows,
    "1_transform/grow_by_retrieval": grows,
    "1_transform/database": fills,
    "1_transform/simulator": programmes,
    "2_instruct/chain": plans,
    "2_instruct/goal": words,
    "4_respond/user": replies_as_user,
    "4_respond/assistant": assists,
    "tool_use/3_refine/editor": extends,
}
