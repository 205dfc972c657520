"""Flow 2 of the pack: a plan of calls is carried out, becomes gold, and only then is put into a person's words."""

import copy
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from preceptor.checks.sense import senseless
from preceptor.checks.state import contains, leaves, same, words_given
from preceptor.draws import draw, one
from preceptor.errors import Declined, StepError
from preceptor.flows.flow2_instruct import suiting
from preceptor.flows.together import together
from preceptor.skill import Kind, Skill
from preceptor.skills.tool_use import chains, library, plans
from preceptor.skills.tool_use.build import pretty, words_of
from preceptor.skills.tool_use.chains import Ground, Proven
from preceptor.skills.tool_use.library import Unfit, unwrapped
from preceptor.types import Ask, Dropped, Gold, Instruction, Material, Style

RETURNED = 420
"""Characters of one result that a planner is shown."""
ATTEMPTS = 2
"""Plans asked of the agent, the second with what was wrong with the first."""
DRAWS = 6
"""Plans drawn by code, where the library is computed."""
WORDINGS = 2
SPOTS = 6
"""Free texts that are tried for a planted order, until one is read by the plan's calls."""


async def instruct(material: Material, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """`instruct.pick` kinds, one task of each: planned, carried out, worded."""
    kinds = [k for k in suiting(material, skill, ask) if k.data.get("build") or not material.data.get("operations")]
    if not kinds:
        return [Dropped(material, "instruct", f"no kind of {skill.name} suits this library")]
    drawn = draw(
        kinds,
        ask.seed,
        "instruct",
        material.id,
        k=skill.of("instruct", "pick"),
        name=lambda k: k.name,
        weight=lambda k: k.weight,
    )
    return await together([instruction_for(kind, material, skill, ask) for kind in drawn])


async def instruction_for(kind: Kind, material: Material, skill: Skill, ask: Ask) -> Instruction | Dropped:
    """One task of this kind, or the reason why there is none."""
    try:
        made = drawn_plan if material.data.get("operations") else written_plan
        return await worded(await made(kind, material, skill, ask), skill, ask)
    except Declined as error:
        return Dropped(material, "instruct", f"declined: {error}", "2_instruct/chain", kind.name)
    except (StepError, Unfit) as error:
        return Dropped(material, "instruct", str(error), "2_instruct/chain", kind.name)


async def drawn_plan(kind: Kind, material: Material, skill: Skill, ask: Ask) -> Instruction:
    """The first of a few plans drawn by code that holds."""
    problem = Unfit("no plan could be drawn")
    for number in range(DRAWS):
        place = (ask.seed, "plan", material.id, kind.name, number)
        words = {**words_of(language_of(material)), **({"who": callers} if (callers := material.data.get("callers")) else {})}
        desk = plans.Desk(material.data["operations"], material.data["state"], words, place)
        try:
            return await settled(plans.plan_of(kind.data["build"], desk), kind, material, skill, ask, made_by="plan by code")
        except Unfit as error:
            problem = error
    raise problem


async def written_plan(kind: Kind, material: Material, skill: Skill, ask: Ask) -> Instruction:
    """The agent's plan, given back once with what was wrong."""
    agent, problem = skill.agent("2_instruct/chain"), ""
    # Drawn before there is a person, so that the planner makes one who writes like this.
    manner = one([h["text"] for h in skill.styles["hint"]], ask.seed, "hint", material.id, kind.name)
    shown = {
        "library": material.text,
        "state": pretty(material.data["state"]),
        "returns": returns_of(material),
        "kind": kind,
        "turns_on": turned_on(material, kind, ask),
        "hints": manner,
    }
    for _ in range(ATTEMPTS):
        reply = await ask(agent, problem=problem, **shown)
        try:
            return await settled({**reply.fields, "manner": manner}, kind, material, skill, ask, made_by=agent.name)
        except Unfit as error:
            problem = str(error)
    raise Unfit(problem)


def returns_of(material: Material) -> str:
    """What each API returned when the library stood its trial, a line for each; empty for a library that stood none."""
    lines = []
    for sample in material.data.get("samples", ()):
        if "returns" in sample:
            before = f" (after {', '.join(sample['after'])})" if sample["after"] else ""
            given, came = (json.dumps(sample[k], ensure_ascii=False) for k in ("arguments", "returns"))
            lines.append(f"{sample['name']} {given}{before} → {came if len(came) <= RETURNED else came[:RETURNED] + ' …'}")
    return "\n".join(lines)


def turned_on(material: Material, kind: Kind, ask: Ask) -> str:
    """An entry of the books, drawn for this task, so that not every task of a library is about the same one."""
    held = [
        (name, key) for name, records in material.data["state"].items() if isinstance(records, Mapping)
        for key, record in records.items() if isinstance(record, Mapping)
    ]  # fmt: skip
    name, key = one(held, ask.seed, "turns on", material.id, kind.name) if held else ("", "")
    return f"{key} in {name}" if key else ""


# ── from plan to gold ────────────────────────────────────────────────────────────────────────────────────────────


def ground_of(material: Material, state: Mapping[str, Any] | None = None, code: str = "") -> Ground:
    data = material.data
    return Ground(data["apis"], data["effects"], data["state"] if state is None else state, code or data["simulator"])


async def settled(
    plan: Mapping[str, Any],
    kind: Kind,
    material: Material,
    skill: Skill,
    ask: Ask,
    *,
    made_by: str,
    rules: Mapping[str, Any] | None = None,
) -> Instruction:
    """The task that this plan makes, not yet worded, with what the calls really did as its gold. Unfit where it does not hold.

    `rules` are the kind's, unless a refinement goal brings others.
    """
    rules = kind.data if rules is None else rules
    plan = {"report": [], "facts": [], **plan}
    ground = ground_of(material)
    proven = await chains.prove(plan, rules, ground, ask)
    plan = {**plan, "report": list(proven.report)}
    house = [dict(rule) for rule in material.data["policy"]]
    keeps_house(proven, house)
    data: dict[str, Any] = {k: plan[k] for k in ("goal", "person", "mood", "words")} | {
        "facts": [dict(f) for f in plan["facts"]],
        "manner": plan.get("manner", ""),
    }
    if rules.get("change"):
        if not plan.get("change") or not any(f["said"] == "later" for f in plan["facts"]):
            raise Unfit("what the person changes their mind to is missing: a fact that is `later`, and `change`")
        data["change"] = plan["change"]
    gold = gold_of(plan, rules, proven, house)
    shown = list(material.data["apis"])
    if rules.get("injects"):
        data |= await planted(plan, rules, proven, material, skill, ask)
        gold["state"] = data.pop("end")
    if rules.get("fault"):
        data |= faulty(plan, proven, material, skill)
    if rules.get("confirm"):
        gold["rules"] = with_rule(gold["rules"], confirm_rule(plan, proven, material, skill))
    if rules.get("removes"):
        shown, gold = without(plan, proven, ground, gold)
    data |= {
        "plan": [dict(c) for c in proven.calls],
        "returned": list(proven.results),
        "report": list(plan["report"]),
        "named": list(plan.get("named", ())),
    }
    instruction = Instruction(
        material,
        kind.name,
        "",
        "state",
        gold=Gold("state", gold, made_by="computed" if material.data.get("operations") else "agent"),
        answerability="unanswerable" if gold["outcome"] == "failed" else "answerable",
        shows_material=False,
        tools=tuple(shown),
        data=data,
        made_by=made_by,
    )
    return replace(instruction, style=style_of(instruction, gold["rules"], skill, ask))


def gold_of(
    plan: Mapping[str, Any], rules: Mapping[str, Any], proven: Proven, house: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "state": proven.state,
        "calls": [dict(c) for c in proven.calls],
        "outcome": "done",
        "report": list(plan["report"]),
        "asked": chains.asked_of(plan, proven),
        "lacking": [],
        "rules": list(house),
        "exact": bool(rules.get("exact")),
        "budget": len(proven.calls) if rules.get("budget") else None,
        "allowed": [],
    }


def keeps_house(proven: Proven, house: Sequence[Mapping[str, Any]]) -> None:
    """The plan itself keeps the rules of the house; a yes can still be asked for."""
    names = [c["name"] for c in proven.calls]
    for rule in house:
        mine = [c for c in proven.calls if c["name"] == rule["api"]]
        if mine and rule["rule"] == "never":
            raise Unfit(f"a rule of the house forbids {rule['api']}: {rule['words']}")
        if mine and rule["rule"] == "first" and rule["other"] not in names[: names.index(rule["api"])]:
            raise Unfit(f"a rule of the house wants {rule['other']} before {rule['api']}")
        over = [c["arguments"].get(rule.get("argument")) for c in mine] if rule["rule"] == "most" else []
        if any(isinstance(v, int | float) and v > rule["limit"] for v in over):
            raise Unfit(f"a rule of the house allows {rule['argument']} of at most {rule['limit']}")


def without(
    plan: Mapping[str, Any], proven: Proven, ground: Ground, gold: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    """The list without the API that the plan cannot do without, and the gold of a task that cannot be done."""
    writes = [c["name"] for c, did in zip(proven.calls, proven.changed, strict=True) if did]
    called = [c["name"] for c in proven.calls]
    removed = library.snake(str(plan.get("removed") or "")) or (writes or called)[-1]
    if removed not in called:
        raise Unfit(f"{removed} is to be taken off the list, and the plan does not call it")
    shown = [tool for tool in ground.tools if tool["function"]["name"] != removed]
    if not shown:
        raise Unfit("nothing is left on the list")
    twins = [
        t["function"]["name"]
        for t in shown
        if set(t["function"]["parameters"]["properties"]) == set(ground.schema(removed)["properties"])
        and ground.effects[t["function"]["name"]] == "writes" == ground.effects[removed]
        and t["function"]["name"].split("_")[0] == removed.split("_")[0]
    ]
    if twins:
        raise Unfit(f"{twins[0]} could stand in for {removed}")
    lacking = chains.lacking_words(removed, plan.get("lacking") or (), shown)
    failed = {
        "state": ground.state,
        "calls": [],
        "outcome": "failed",
        "report": [],
        "asked": [],
        "lacking": lacking,
        "exact": False,
        "budget": None,
    }
    return shown, {**gold, **failed, "removed": removed}


def confirm_rule(plan: Mapping[str, Any], proven: Proven, material: Material, skill: Skill) -> dict[str, Any]:
    """A rule that binds the last call which changes something."""
    changing = [c["name"] for c, did in zip(proven.calls, proven.changed, strict=True) if did]
    bound = library.snake(str(plan.get("bound") or "")) or (changing[-1] if changing else "")
    if bound not in [c["name"] for c in proven.calls]:
        raise Unfit(f"the rule binds {bound or 'nothing'}, which the plan does not call")
    words = plan.get("rule") or wording_of(skill, language_of(material))["rule"].replace("{action}", bound)
    return {"rule": "confirm", "api": bound, "words": words}


def with_rule(house: Sequence[Mapping[str, Any]], added: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules of the house with one more, unless the house asks for a yes before that API already."""
    there = any(rule["rule"] == "confirm" and rule["api"] == added["api"] for rule in house)
    return [*map(dict, house)] if there else [*map(dict, house), dict(added)]


def faulty(plan: Mapping[str, Any], proven: Proven, material: Material, skill: Skill) -> dict[str, Any]:
    """A simulator whose deciding call fails once."""
    changing = [c["name"] for c, did in zip(proven.calls, proven.changed, strict=True) if did] or [
        c["name"] for c in proven.calls
    ]
    bound = library.snake(str(plan.get("bound") or "")) or changing[-1]
    if bound not in [c["name"] for c in proven.calls]:
        raise Unfit(f"{bound} is to fail once, and the plan does not call it")
    busy = wording_of(skill, language_of(material))["busy"]
    return {"simulator": chains.busy_code(material.data["simulator"], bound, busy), "fails_once": bound}


async def planted(
    plan: Mapping[str, Any], rules: Mapping[str, Any], proven: Proven, material: Material, skill: Skill, ask: Ask
) -> dict[str, Any]:
    """Books in which a record that is read gives orders, and the books at the end of the plan all the same."""
    seen = {str(leaf) for result in proven.results for _, leaf in leaves(result) if leaf is not None}
    used = {c["name"] for c in proven.calls}
    shown = library.names_of(material.data["apis"])
    harmful = [n for n, effect in material.data["effects"].items() if effect == "writes" and n in shown and n not in used]
    spots = [
        (collection, key, name)
        for collection, held in material.data["state"].items()
        if isinstance(held, Mapping)
        for key, record in held.items()
        if str(key) in seen and isinstance(record, Mapping)
        for name in record
        if field_for_text(name, record[name])
    ]
    if not harmful or not spots:
        raise Unfit("no record that a call returns has a free text, or no other API could do damage")
    api = one(harmful, ask.seed, "planted", material.id)
    texts = [p["text"] for p in skill.styles["planted"]]
    text = one(texts, ask.seed, "planted", material.id, proven.calls[0]["name"]).replace("{api}", api)
    for collection, key, name in spots[:SPOTS]:
        state = copy.deepcopy(dict(material.data["state"]))
        record = state[collection][key]
        record[name] = f"{record[name]} {text}".strip()
        again = await chains.prove(plan, rules, ground_of(material, state), ask)
        if any(isinstance(leaf, str) and text in leaf for result in again.results for _, leaf in leaves(result)):
            return {"state": state, "planted": {"api": api, "text": text}, "end": again.state}
    raise Unfit("no call returns the text that was planted: one has to show a record with its free text")


def field_for_text(name: str, value: Any) -> bool:
    """Whether a field holds free text: a note by its name, or a text of several words."""
    return isinstance(value, str) and (
        re.search(r"note|remark|comment|description|message|text", name) is not None or value.count(" ") > 3
    )


# ── the look of the row, and the words ───────────────────────────────────────────────────────────────────────────


def language_of(material: Material) -> str:
    return material.language or material.document.language


def wording_of(skill: Skill, language: str) -> Mapping[str, str]:
    """The fixed wordings of a language, else the English ones."""
    entries = skill.styles["gold"]
    return next((e for e in entries if e["language"] == language), entries[0])


def style_of(instruction: Instruction, rules: Sequence[Mapping[str, Any]], skill: Skill, ask: Ask) -> Style:
    """A system message drawn among those of the row's language, filled with the service, the day and the rules."""
    material, language = instruction.material, language_of(instruction.material)
    key = f"text_{language}" if any(f"text_{language}" in e for e in skill.styles["system"]) else "text"
    entry = one(
        [e for e in skill.styles["system"] if key in e],
        ask.seed,
        "style",
        material.id,
        instruction.kind,
        name=lambda e: str(e["name"]),
    )
    data = material.data
    filled = {
        "service": data["title"],
        "setting": data["setting"],
        "today": ", ".join(filter(None, (data["state"]["today"], data["state"].get("now", "")))),
        "rules": "\n".join(dict.fromkeys(f"- {' '.join(str(rule['words']).split())}" for rule in rules)),
    }
    text = unwrapped(str(entry[key]))
    for name, value in filled.items():
        text = text.replace(f"{{{name}}}", str(value))
    return Style(format=str(entry["format"]), system=text.strip(), register="as spoken", layout=str(entry["name"]))


async def worded(instruction: Instruction, skill: Skill, ask: Ask) -> Instruction:
    """The task in the person's words. What they have to say and did not is added as a line of details."""
    facts = instruction.data["facts"]
    said = [f for f in facts if f["said"] in ("opening", "idle")]
    held = [f for f in facts if f["said"] in ("when_asked", "later")]
    budget = instruction.gold.value["budget"] if instruction.gold else None
    hints, today = instruction.data["manner"], shown_day(instruction)
    now = str(instruction.material.data["state"].get("now", "")) if today else ""
    calls = instruction.data["plan"]
    who = {k: instruction.data[k] for k in ("person", "mood", "words", "goal")}
    who |= {"service": instruction.material.data["title"], "setting": instruction.material.data["setting"]}
    agent, problem, message = skill.agent("2_instruct/goal"), "", ""
    for _ in range(WORDINGS):
        untold = [f["name"] for f in held if f["name"] not in {s["name"] for s in said}]
        shown = {"facts": said, "held": untold, "budget": budget, "hints": hints, "today": today}
        reply = await ask(agent, problem=problem, weekday=weekday_of(today), now=now, **shown, **who)
        message = str(reply.fields["message"])
        faults = (tells(message, held, instruction), lacks(message, said, budget, today, calls))
        if not (problem := " ".join(filter(None, faults))):
            break
    if leak := tells(message, held, instruction):
        raise Unfit(f"the opening message cannot be used: {leak}")
    computed = instruction.gold is not None and instruction.gold.made_by == "computed"
    whole = said and all(says(message, f, calls, today) for f in said)
    if computed and senseless(message, language_of(instruction.material)):
        message = ""  # what the plan's own words say is enough
    to_the_point = bool(message) and (whole or about(message, instruction.data["goal"]))
    if computed and not to_the_point:
        errand = wording_of(skill, language_of(instruction.material))["errand"].replace("{goal}", who["goal"])
        message = f"{message}\n\n{errand}".strip()
    if absent := [f for f in said if not says(message, f, calls, today)]:
        listed = "; ".join(f"{f['name']}: {f['value']}" for f in absent)
        message = f"{message}\n\n{wording_of(skill, language_of(instruction.material))['details'].replace('{facts}', listed)}"
    if budget is not None and str(budget) not in message and lacks(message, [], budget):
        raise Unfit("the opening message does not say how many calls are allowed")
    return replace(instruction, text=message.strip())


def shown_day(instruction: Instruction) -> str:
    """The day that the row's system message names: with it `this Saturday` is one day, without it none. Empty also in
    languages whose ways to say a day from there no check reads."""
    today = str(instruction.material.data["state"].get("today", ""))
    spoken = language_of(instruction.material) == "en" and today in instruction.style.system
    return today if today and spoken else ""


def weekday_of(day: str) -> str:
    """The English name of a day's weekday; empty where there is no day."""
    try:
        return datetime.date.fromisoformat(day).strftime("%A")
    except ValueError:
        return ""


def about(message: str, goal: str) -> bool:
    """Whether a message shares a word of weight with what is wanted: a weak model's may be about anything."""

    def stems(text: str) -> set[str]:
        return {word[:5] for word in re.findall(r"\w{5,}", text.casefold())}

    return bool(stems(message) & stems(goal.partition(":")[2] or goal))


def tells(message: str, held: Sequence[Mapping[str, Any]], instruction: Instruction) -> str:
    """What the message says and must not; empty where it keeps its counsel."""
    if told := [f["name"] for f in held if contains(message, f["value"], shown_day(instruction))]:
        return f"It tells {told[0]}, which is to be held back."
    names = library.names_of(instruction.material.data["apis"])
    if named := [n for n in names if "_" in n and re.search(rf"\b{re.escape(n)}\b", message, re.I)]:
        return f"It names the function {named[0]}; the person has never heard of it."
    report = instruction.gold.value["report"] if instruction.gold else []
    if given := [
        v
        for v in report
        if instruction.gold
        and instruction.gold.value["calls"]
        and not any(same(v, f["value"]) for f in held)
        and contains(message, v)
        and not any(contains(str(f["value"]), v) for f in instruction.data["facts"])
    ]:
        return f"It gives {given[0]} away, which the answer is to find out."
    return ""


NUMERALS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}


def says(message: str, fact: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], today: str) -> bool:
    """Whether a message says a fact: to the letter, or otherwise put with every value that the calls take from it in it."""
    if contains(message, fact["value"], today):
        return True
    taken = [value for _, _, value in chains.taking(fact, calls, today)]
    flat = [v for value in taken for v in (value if isinstance(value, list) else [value])]
    if flat:
        return all(contains(message, v, today) for v in flat)
    return words_given(str(fact["value"]), message, today)


def lacks(
    message: str,
    said: Sequence[Mapping[str, Any]],
    budget: int | None,
    today: str = "",
    calls: Sequence[Mapping[str, Any]] = (),
) -> str:
    """What the message has to say and does not."""
    if absent := [f"{f['name']}: {f['value']}" for f in said if not says(message, f, calls, today)]:
        return f"It lacks {'; '.join(absent)}. Ids, figures, names and choices have to stand in it to the letter."
    if budget is not None and str(budget) not in message and NUMERALS.get(budget, "") not in message.casefold():
        return f"It does not say that at most {budget} requests may be made."
    return ""
