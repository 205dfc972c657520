"""Plans by code, for libraries made of records: the same fields that the planning agent replies with, drawn by rule."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preceptor.draws import draw, fraction, one
from preceptor.skills.tool_use.books import DONE, QUEUES, drawn_number
from preceptor.skills.tool_use.library import Unfit, snake
from preceptor.skills.tool_use.records import Part, singular

Plan = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a computed plan is drawn from: operations, books, words, and the place of the draw."""

    operations: Sequence[Mapping[str, Any]]
    state: Mapping[str, Any]
    words: Mapping[str, Any]
    place: tuple[object, ...]

    def acting(self, *acts: str) -> list[Mapping[str, Any]]:
        """The operations of these acts, in drawn order."""
        found = [o for o in self.operations if o["act"] in acts]
        return draw(found, *self.place, "operation", k=len(found), name=lambda o: str(o["api"]))

    def records(self, collection: str, operation: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        """The records of a collection, in drawn order; those first that `operation` is for, as far as its words tell."""
        found = list(self.state[collection].values())
        drawn = draw(found, *self.place, collection, k=len(found), name=lambda r: str(r["id"]))
        return drawn if operation is None else sorted(drawn, key=lambda r: not fits(operation, collection, r, self.operations))


def plan_of(build: str, desk: Desk) -> Plan:
    """The plan that this builder draws. Unfit where the library has no operation for it."""
    plan = BUILDERS[build](desk)
    who = desk.words
    return {
        "person": one(who["who"], *desk.place, "who"),
        "mood": one(who["mood"], *desk.place, "mood"),
        "words": 18 + int(24 * fraction(*desk.place, "words")),
        "report": [],
        "lacking": [],
        "named": [],
        **plan,
    }


# ── one call ─────────────────────────────────────────────────────────────────────────────────────────────────────


def one_call(desk: Desk) -> Plan:
    """A change with everything said, or, in a third of the draws, one figure of one record."""
    if fraction(*desk.place, "look") < 0.34 and desk.acting("get"):
        return look(desk)
    return one_write(desk)


def one_write(desk: Desk) -> Plan:
    """One call that changes something."""
    operation = first(desk.acting("update", "act", "create", "remove"), "changes a record")
    return written(desk, operation, desk.records(operation["collection"], operation)[0])


def look(desk: Desk) -> Plan:
    """One record is read for one of its values."""
    operation = first(desk.acting("get"), "returns one record")
    record = desk.records(operation["collection"])[0]
    field, value = telling(record, desk)
    fact = {"name": label(operation["key"]), "value": str(record["id"]), "said": "opening"}
    goal = desk.words["know"].format(what=label(field), which=record["id"])
    return {
        "goal": goal,
        "calls": [call(operation["api"], {operation["key"]: record["id"]})],
        "facts": [fact],
        "report": [str(value)],
        "named": [label(field)],
    }


def superfluous(desk: Desk) -> Plan:
    """One change, and beside it what another entry has, said to be that entry's: tempting, and no reason to ask."""
    plan = one_write(desk)
    used = {str(f["value"]).lower() for f in plan["facts"]}
    others = [r for c in desk.state.values() if isinstance(c, Mapping) for r in c.values() if str(r["id"]).lower() not in used]
    for other in draw(others, *desk.place, "other", k=len(others), name=lambda r: str(r["id"])):
        told = [
            (k, v)
            for k, v in other.items()
            if k not in ("id", "note") and worth(v) and not any(str(v).lower() in u or u in str(v).lower() for u in used)
        ]
        if told:
            found = draw(told, *desk.place, "idle", k=2)
            beside = str(desk.words["beside"])
            idle = [
                {"name": beside.format(what=label(k), which=other["id"]), "value": str(v), "said": "idle"} for k, v in found
            ]
            return {**plan, "facts": plan["facts"] + idle}
    raise Unfit("the books hold nothing that could be said beside the point")


def missing(desk: Desk) -> Plan:
    """One change, with one fact held back."""
    return held_back(one_write(desk), desk)


def unavailable(desk: Desk) -> Plan:
    """One change, by the operation that the others can least replace."""
    operations = desk.acting("remove") + desk.acting("act") + desk.acting("create") + desk.acting("update")
    operation = first(operations, "changes a record")
    record = desk.records(operation["collection"], operation)[0]
    return {**written(desk, operation, record), "removed": operation["api"]}


# ── several calls ────────────────────────────────────────────────────────────────────────────────────────────────


def several(desk: Desk) -> Plan:
    """A record is found by what a person remembers of it, then changed by its id."""
    for operation in desk.acting("update", "act", "remove", "create"):
        target = operation["collection"]
        if operation["act"] == "create":
            target = next((p["refers"] for p in operation["parts"] if p["refers"]), "")
        for finder in [o for o in desk.acting("find") if o["collection"] == target]:
            for record in desk.records(target, operation):
                if found := found_by(finder, record, desk):
                    return chained(desk, finder, found, operation, record)
    return read_then_write(desk)


def chained(
    desk: Desk, finder: Mapping[str, Any], found: tuple[str, str, Any], operation: Mapping[str, Any], record: Mapping[str, Any]
) -> Plan:
    parameter, field, value = found
    plan = written(desk, operation, record)
    facts = [f for f in plan["facts"] if f["value"] != str(record["id"])]
    search = {"name": label(field), "value": str(value), "said": "opening"}
    goal = desk.words["both"].format(which=value, does=operation["about"] or label(operation["api"]))
    return {**plan, "goal": goal, "calls": [call(finder["api"], {parameter: value}), *plan["calls"]], "facts": [search, *facts]}


def read_then_write(desk: Desk) -> Plan:
    """One value is read off a record, and something is changed: for libraries that cannot search."""
    seen = look(desk)
    plan = one_write(desk)
    both = {f["value"]: f for f in (*seen["facts"], *plan["facts"])}
    return {
        **plan,
        "goal": f"{seen['goal']}; {plan['goal']}",
        "calls": seen["calls"] + plan["calls"],
        "facts": list(both.values()),
        "report": seen["report"],
        "named": seen["named"],
    }


def several_missing(desk: Desk) -> Plan:
    """As several, with one fact held back that no record tells."""
    return held_back(several(desk), desk)


def several_unavailable(desk: Desk) -> Plan:
    """As several, without the operation that changes something."""
    plan = several(desk)
    return {**plan, "removed": plan["calls"][-1]["api"]}


def change(desk: Desk) -> Plan:
    """One value is set, and then set otherwise."""
    operation = first(desk.acting("update"), "sets a value that can be set again")
    record = desk.records(operation["collection"])[0]
    for part in operation["parts"]:
        options = values_for(part, desk)
        options = [v for v in options if v != record.get(part["field"]) and not isinstance(v, bool)]
        if part["name"] != operation["key"] and len(options) > 1:
            before, after = options[:2]
            calls = [call(operation["api"], {operation["key"]: record["id"], part["name"]: v}) for v in (before, after)]
            facts = [
                {"name": label(operation["key"]), "value": str(record["id"]), "said": "opening"},
                {"name": label(part["name"]), "value": str(before), "said": "opening"},
                {"name": label(part["name"]), "value": str(after), "said": "later"},
            ]
            return {
                "goal": goal_of(operation, desk),
                "calls": calls,
                "facts": facts,
                "change": desk.words["change"].format(name=label(part["name"]), value=after),
            }
    raise Unfit("no value here can be set twice")


def no_tool(desk: Desk) -> Plan:
    """A question about what an operation needs."""
    operation = first(
        [o for o in desk.acting("update", "act", "create") if any(p["required"] for p in o["parts"])], "needs anything"
    )
    report = [label(p["name"]) for p in operation["parts"] if p["required"]]
    does = operation["about"] or label(operation["api"])
    return {"goal": desk.words["ask_how"].format(does=does), "calls": [], "facts": [], "report": report}


# ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────


def written(desk: Desk, operation: Mapping[str, Any], record: Mapping[str, Any]) -> Plan:
    """A call of an operation that changes something, on this record or referring to it, and the facts behind it."""
    arguments: dict[str, Any] = {operation["key"]: record["id"]} if operation["key"] else {}
    wanted = [p for p in operation["parts"] if p["name"] not in arguments and (p["required"] or operation["act"] == "update")]
    if operation["act"] == "update":
        wanted = draw(wanted, *desk.place, "field", k=1, name=lambda p: str(p["name"]))
    for part in wanted:
        refers_here = part["refers"] and part["refers"] in desk.state and record["id"] in desk.state[part["refers"]]
        other = [v for v in values_for(part, desk, operation) if v != record.get(part["field"])]
        options = [record["id"]] if refers_here else other
        arguments[part["name"]] = first(options, f"could be given as {part['name']}")
    facts = [
        {"name": label(name), "value": spoken(value), "said": "opening"}
        for name, value in arguments.items()
        if not isinstance(value, bool)
    ]
    return {"goal": goal_of(operation, desk), "calls": [call(operation["api"], arguments)], "facts": facts}


def held_back(plan: Plan, desk: Desk) -> Plan:
    """The plan with the last call's most telling fact held back: one that no earlier call returns."""
    last = {spoken(v) for v in plan["calls"][-1]["arguments"].values() if not isinstance(v, bool)}
    open_facts = [n for n, f in enumerate(plan["facts"]) if f["value"] in last]
    if not open_facts or (len(plan["facts"]) < 2 and len(plan["calls"]) > 1):
        raise Unfit("nothing can be held back")
    keep = open_facts[-1]
    facts = [{**f, "said": "when_asked"} if n == keep else f for n, f in enumerate(plan["facts"])]
    return {**plan, "facts": facts}


def fits(
    operation: Mapping[str, Any], collection: str, record: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether an operation is for such a record: what is over is not prolonged, and what is taken from the shelf stands there.

    A status that the operation's own words name is the right one. Where they name none, a place in a line is for what
    somebody else has, and all else for what nobody has.
    """
    if any(value and re.search(DONE, snake(name)) for name, value in record.items()):
        return str(operation["act"]) == "remove"
    if operation["act"] != "create" or operation["collection"] == collection:
        return True
    own, said = operation["collection"], stems(f"{operation['about']} {operation['api']}")
    made = {o["collection"] for o in operations if o["act"] == "create"}
    for part in [p for o in operations if o["collection"] == collection for p in o["parts"] if p["choices"]]:
        tied = {c: next((m for m in made if singular(m)[:5] in c), "") for c in part["choices"]}
        if part["field"] not in record or not any(tied.values()):
            continue
        if named := [c for c in part["choices"] if stems(c) & said and tied[c] != own]:
            return str(record[part["field"]]) in named
        with_others = [c for c in part["choices"] if tied[c] not in ("", own)]
        free = [c for c in part["choices"] if not tied[c]][:1]
        return str(record[part["field"]]) in (with_others if re.search(QUEUES, own) and with_others else free)
    return True


def stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[^\W\d_]{4,}", snake(text).replace("_", " "))}


def values_for(part: Mapping[str, Any], desk: Desk, operation: Mapping[str, Any] | None = None) -> list[Any]:
    """Values that this parameter could be given, in drawn order; ids of what `operation` is for come first."""
    where = (*desk.place, part["name"])
    if part["refers"] and part["refers"] in desk.state:
        held = desk.state[part["refers"]]
        ids = draw(list(held), *where, k=len(held))
        unfit = {i for i in ids if operation is not None and not fits(operation, part["refers"], held[i], desk.operations)}
        return sorted(ids, key=lambda i: i in unfit)
    if part["choices"]:
        return draw(part["choices"], *where, k=len(part["choices"]))
    if part["kind"] in ("integer", "number"):
        bounds = Part(part["name"], part["kind"], about=part["about"], least=part["least"], most=part["most"])
        drawn = (drawn_number(bounds, 0.1 + 0.9 * fraction(*where, n)) for n in range(6))
        return [v for v in dict.fromkeys(drawn) if v]
    if part["kind"] == "boolean":
        return [True, False]
    if part["kind"] == "date":
        today = datetime.date.fromisoformat(str(desk.state["today"]))
        return [(today + datetime.timedelta(days=3 + int(40 * fraction(*where, n)))).isoformat() for n in range(3)]
    if part["kind"] == "list":
        return [draw(desk.words["extra"], *where, k=2)]
    seen = {r.get(part["field"]) for held in desk.state.values() if isinstance(held, Mapping) for r in held.values()}
    told = sorted(v for v in seen if isinstance(v, str) and v)
    wrong = operation is not None and re.search(r"wrong|damag|fault|broke|defect", str(operation["about"]).lower())
    options = told if len(told) > 1 else desk.words["fault" if wrong else "phrase"]
    return draw(options, *where, k=len(options))


def found_by(finder: Mapping[str, Any], record: Mapping[str, Any], desk: Desk) -> tuple[str, str, Any] | None:
    """Parameter, field and value by which this finder returns this record and no other; None where it cannot."""
    others = [r for r in desk.state[finder["collection"]].values() if r["id"] != record["id"]]
    for part in finder["parts"]:
        for field, value in record.items():
            if field in ("id", "note") or not isinstance(value, str) or len(value) < 4 or value[:4].isdigit():
                continue
            if part["field"] == field and all(r.get(field) != value for r in others) and not part["choices"]:
                return part["name"], field, value
            text = [" ".join(str(v) for v in r.values()).lower() for r in others]
            if part["name"] == "q" and not any(all(w in t for w in value.lower().split()) for t in text):
                return part["name"], field, value
    return None


def telling(record: Mapping[str, Any], desk: Desk) -> tuple[str, Any]:
    """A field of the record whose value an answer can be checked for."""
    found = [(k, v) for k, v in record.items() if k not in ("id", "note") and worth(v)]
    told: tuple[str, Any] = first(draw(found, *desk.place, "telling", k=len(found)), "is worth telling")
    return told


def worth(value: Any) -> bool:
    """Whether a value can be recognised in a text: long enough to be no accident."""
    return not isinstance(value, bool | list | Mapping) and len(str(value)) >= 3


def call(api: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"api": api, "arguments": dict(arguments), "why": ""}


def spoken(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def label(name: str) -> str:
    """A parameter's name as a person would say it."""
    return snake(name).replace("_", " ")


def goal_of(operation: Mapping[str, Any], desk: Desk) -> str:
    return str(desk.words["want"]).format(does=operation["about"] or label(operation["api"]))


def first(found: Sequence[Any], what: str) -> Any:
    if not found:
        raise Unfit(f"nothing in this library {what}")
    return found[0]


BUILDERS: Mapping[str, Callable[[Desk], Plan]] = {
    "one": one_call,
    "one_write": one_write,
    "superfluous": superfluous,
    "missing": missing,
    "unavailable": unavailable,
    "several": several,
    "several_missing": several_missing,
    "several_unavailable": several_unavailable,
    "change": change,
    "no_tool": no_tool,
    "look": look,
}
