"""Do the prompts say what they mean? Rows of kinds drawn by seed, judged blind and apart from their making.

    draw ─▶ make, by batch (whoever answers has not seen the taxonomy) ─▶ judge, by batch (has not seen the making) ─▶ table

A trial is a folder: `plan.json`, `making/`, `checking/` (what the packs ask a judge) and `judging/` (requests there, replies
beside them), and two runs. The same command goes on with whatever has been answered since.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from preceptor import corpus
from preceptor.draws import digest, draw
from preceptor.engine import run as engine
from preceptor.engine.store import Item, Store
from preceptor.errors import UserError
from preceptor.factory import door, opened, work
from preceptor.files import whole
from preceptor.flows.flow3_refine import refine
from preceptor.flows.row import task_of
from preceptor.plan import Plan
from preceptor.prompts import read_agent
from preceptor.recipe import recipe_of
from preceptor.skill import Goal, Kind, Skill, fits, load_skill
from preceptor.types import Agent, Ask, Document, Dropped, Example, Instruction, Produced, Step, Trace, canonical

ROWS_A_KIND = 3
HERE = Path(__file__).parent
AIMS = {
    "genre named": 0.90,
    "kind named": 0.85,
    "answer agreed with": 0.85,
    "edits do what they say": 0.90,
    "fit to train on": 0.80,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged row: what was asked for and what the judge saw."""

    row: str
    skill: str
    kind: str
    genre: str
    goal: str
    said: Mapping[str, Any]
    measures: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a trial stands: what is waited for, or what it found."""

    folder: Path
    kinds: int
    waiting: Mapping[str, int]
    made: Mapping[str, int]
    findings: tuple[Finding, ...] = ()

    def table(self) -> list[dict[str, Any]]:
        """Each measure: rows it was asked of, rows that met it, the share, and the aim."""
        rows = []
        for name, aim in AIMS.items():
            told = [f.measures[name] for f in self.findings if name in f.measures]
            share = sum(told) / len(told) if told else None
            rows.append({"measure": name, "rows": len(told), "met": sum(told), "share": share, "aim": aim})
        return rows

    def lines(self) -> list[str]:
        """The trial in words."""
        said = [f"{self.kinds} kinds drawn; rows made: " + (", ".join(f"{n} {s}" for s, n in self.made.items()) or "none yet")]
        said += [f"{n} requests wait for replies in {self.folder / where}" for where, n in self.waiting.items() if n]
        for line in self.table() if self.findings else ():
            share = "–" if line["share"] is None else f"{line['share']:.0%}"
            said.append(f"{line['measure']:<24} {line['met']:>3} of {line['rows']:>3}  {share:>5}   (aim {line['aim']:.0%})")
        for finding in self.findings:
            missed = [name for name, met in finding.measures.items() if not met]
            if missed:
                said.append(
                    f"  {finding.row[:8]} {finding.skill}/{finding.kind} {finding.goal}: not {', not '.join(missed)} — "
                    + canonical(finding.said)[:300]
                )
        return said


def trial(folder: Path, kinds: int, seed: int, documents: Sequence[str], skills: Sequence[str], edits: bool = False) -> Trial:
    """Begin a trial, or go on with the one in `folder`; see the module's first lines for its ways."""
    plan_file = folder / "plan.json"
    if not plan_file.exists():
        if not kinds or not documents:
            raise UserError(
                f"no trial in {folder}; begin one, such as: preceptor fidelity {folder} --draw 40 --seed 1 "
                "--documents 'notes/**/*.md'"
            )
        whole(plan_file, orjson.dumps(drawn(kinds, seed, documents, skills, edits), option=orjson.OPT_INDENT_2))
    plan = orjson.loads(plan_file.read_bytes())
    return asyncio.run(_trial(folder, plan))


# ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(kinds: int, seed: int, documents: Sequence[str], skills: Sequence[str], edits: bool = False) -> dict[str, Any]:
    """Kinds by seed, and for each the documents and the transformers of its three rows: one as asked, two refined. With
    `edits` all three are made unanswerable or flipped, of kinds that can be."""
    loaded = [load_skill(name) for name in skills]
    real = [(skill, kind) for skill in loaded for kind in skill.drawable(frozenset({"teacher", "judge", "weak"}))]
    if edits:
        real = [(skill, kind) for skill, kind in real if edits_of(skill, kind)]
    read = corpus.read(list(documents)).documents
    served = [(skill, kind) for skill, kind in real if ways_of(skill, kind, read)]
    chosen = draw(served, "fidelity", seed, k=kinds, name=lambda sk: f"{sk[0].name}/{sk[1].name}")
    slots = []
    for skill, kind in chosen:
        place = ("fidelity", seed, skill.name, kind.name)
        ways = ways_of(skill, kind, read)
        for number, (document, transformer) in enumerate(_spread(ways, ROWS_A_KIND, place)):
            slots.append(
                {
                    "skill": skill.name,
                    "kind": kind.name,
                    "number": number,
                    "document": document.id,
                    "source": document.source,
                    "transformer": transformer,
                }
            )
    return {"seed": seed, "documents": list(documents), "skills": list(skills), "edits": edits, "slots": slots}


def edits_of(skill: Skill, kind: Kind) -> list[Goal]:
    """The goals that make such an instruction unanswerable or turn its answer round."""
    turning = [g for g in skill.goals if g.flips or g.answerability == "unanswerable"]
    return [
        g
        for g in turning
        if (not kind.goals or g.name in kind.goals)
        and (not g.kinds or kind.name in g.kinds)
        and kind.name not in g.spares
        and (not g.shapes or kind.shape in g.shapes)
    ]


def ways_of(skill: Skill, kind: Kind, documents: Sequence[Document]) -> list[tuple[Document, str]]:
    """The documents and transformers that lead to material for the kind; empty where that are fewer than its rows."""
    ways = [(d, t) for d in documents for t in transformers(skill, kind, d)]
    return ways if len(ways) >= ROWS_A_KIND else []


def transformers(skill: Skill, kind: Kind, document: Document) -> list[str]:
    """The transformers that lead from this document to material that suits the kind; empty: the pack has its own way."""
    if "transform" in skill.steps:
        return [""]
    names = [a.name.rsplit("/", 1)[-1] for a in skill.in_step("1_transform") if not a.suits or document.kind in a.suits]
    names += ["identity"] if skill.of("transform", "original") else []
    return [n for n in names if fits(kind.suits, n, document.kind)]


def _spread(ways: Sequence[tuple[Document, str]], k: int, place: tuple[Any, ...]) -> list[tuple[Document, str]]:
    """Up to `k` ways: other documents each time, and other transformers where there are."""
    taken: list[tuple[Document, str]] = []
    for fresh in (2, 1, 0):
        for document, transformer in draw(ways, *place, "way", k=len(ways), name=lambda w: w[0].id + w[1]):
            news = (document.id not in {d.id for d, _ in taken}) + (transformer not in {t for _, t in taken})
            if len(taken) < k and news >= fresh and (document, transformer) not in taken:
                taken.append((document, transformer))
    return taken


# ── making and judging ───────────────────────────────────────────────────────────────────────────────────────────


async def _trial(folder: Path, plan: Mapping[str, Any]) -> Trial:
    documents = {d.id: d for d in corpus.read(plan["documents"]).documents}
    making = await _making(folder, plan, documents)
    store = Store(folder / "made")
    try:
        rows = [(s.skill.split("/")[0], s.node) for s in store.examples()]
    finally:
        store.close()
    made = {s: n for s in ("accepted", "rejected") if (n := sum(r.status == s for _, r in rows))}
    waiting: dict[str, int] = {"making": making}
    findings: tuple[Finding, ...] = ()
    if accepted := [r for r in rows if r[1].status == "accepted"]:  # judged while others are still being made
        waiting["judging"], findings = await _judging(folder, plan, accepted)
    kinds = len({(s["skill"], s["kind"]) for s in plan["slots"]})
    return Trial(folder, kinds, waiting, made, findings)


async def _making(folder: Path, plan: Mapping[str, Any], documents: Mapping[str, Document]) -> int:
    loaded, skills, items = _loaded(plan), {}, []
    for place, slot in enumerate(plan["slots"]):
        name = f"{slot['skill']}/{slot['kind']}/{slot['number']}"
        edits = bool(plan.get("edits"))
        skills[name] = narrowed(loaded[slot["skill"]], slot["kind"], slot["transformer"], edits or slot["number"] > 0)
        if edits:
            skills[name] = replace(skills[name], goals=tuple(edits_of(skills[name], skills[name].kind(slot["kind"]))))
        items.append(Item(documents[slot["document"]], name, 0, place))
    models = {role: f"batch:{folder.absolute() / where}" for role, where in (("teacher", "making"), ("judge", "checking"))}
    recipe = recipe_of({"name": "fidelity", "seed": plan["seed"], **models})
    made = Plan(recipe, skills)
    async with opened(made, folder / "made", list(documents.values()), lambda _: None) as outside:
        ended = await engine.run(items, work(made), door(outside, made, []), outside)
    return ended.waiting_requests


def _loaded(plan: Mapping[str, Any]) -> dict[str, Skill]:
    """The plan's skills by their own names; a plan may give them as paths."""
    return {skill.name: skill for skill in map(load_skill, plan["skills"])}


def narrowed(skill: Skill, kind: str, transformer: str, refined: bool) -> Skill:
    """The skill with one kind and one transformer, so that a slot makes the row it was drawn for, and pays for no other."""
    others = "1_transform/" if transformer else "/"  # a pack that transforms in its own way needs all its agents
    agents = {n: a for n, a in skill.agents.items() if not n.startswith(others) or n.endswith(f"/{transformer}")}
    settings = {
        **skill.settings,
        "transform": {**skill.settings["transform"], "original": transformer == "identity", "pick": 1},
        "instruct": {**skill.settings["instruct"], "pick": 1},
        "refine": {**skill.settings["refine"], "share": float(refined), "goals": 1, "rounds": 1},
        "respond": {**skill.settings["respond"], "answers": 1},
        "quota": {**skill.settings["quota"], "unanswerable": []},  # each goal by its weight
    }
    steps = {**skill.steps, "refine": last_of(skill.override(refine))}
    return replace(skill.only([kind]), agents=agents, settings=settings, steps=steps)


def last_of(step: Step) -> Step:
    """The refining step, which lets through what it made last in place of what it was made from."""

    async def refine(seed: Instruction, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
        made = await step(seed, skill, ask)
        whole = [thing for thing in made if not isinstance(thing, Dropped)]
        return [*whole[-1:], *(thing for thing in made if isinstance(thing, Dropped))]

    return refine


async def _judging(
    folder: Path, plan: Mapping[str, Any], rows: Sequence[tuple[str, Example]]
) -> tuple[int, tuple[Finding, ...]]:
    skills = _loaded(plan)
    recipe = recipe_of({"name": "fidelity-judging", "seed": plan["seed"], "teacher": f"batch:{folder.absolute() / 'judging'}"})
    items = [
        Item(replace(r.instruction.material.document, id=digest("judged", r.id)), skill, 0, place)
        for place, (skill, r) in enumerate(rows)
    ]
    by_item = {item.id: row for item, row in zip(items, rows, strict=True)}
    found: dict[str, Finding] = {}

    async def judged(item: Item, ask: Ask) -> Produced:
        skill, row = by_item[item.id]
        found[item.id] = await finding(row, skills[skill], ask)
        return Produced(
            trace=(Trace("judge", item.document, (Dropped(item.document, "judge", "judged"),)),),
            dropped=(Dropped(item.document, "judge", "judged"),),
        )

    made = Plan(recipe, skills)
    judging = folder / "judged"
    async with opened(made, judging, (), lambda _: None) as outside:
        ended = await engine.run(items, judged, door(outside, made, []), outside)
        outside.reopen()
        for item in items:  # items judged earlier are read again from the journal
            if item.id not in found and not ended.waiting_requests:
                await judged(item, door(outside, made, [])(item))
    return ended.waiting_requests, tuple(found[i.id] for i in items if i.id in found)


@lru_cache(maxsize=8)
def judge(name: str) -> Agent:
    """A judge's prompt."""
    return replace(read_agent(HERE / f"{name}.md", f"fidelity/{name}"), role="teacher")


async def finding(row: Example, skill: Skill, ask: Ask) -> Finding:
    """What a judge who has not seen the making says of a row, held against what it was made to be."""
    instruction = row.instruction
    genres = sorted({a.name.rsplit("/", 1)[-1] for a in skill.in_step("1_transform")} | {"identity"})
    kinds = [{"name": k.name, "about": k.about} for k in skill.kinds if k.tier == "real"]
    task = "\n\n".join(str(m.get("content") or "") for m in instruction.history) + "\n\n" + task_of(instruction, skill)
    said: dict[str, Any] = {}
    if instruction.material.genre != "identity" and instruction.material.genre in genres:
        said["genre"] = dict((await ask(judge("genre"), material=instruction.material, genres=genres)).fields)
    tools = orjson.dumps([dict(t) for t in instruction.tools]).decode() if instruction.tools else ""
    said["solve"] = dict((await ask(judge("solve"), task=task.strip(), kinds=kinds, declared=tools)).fields)
    said["review"] = dict((await ask(judge("review"), row=spoken(row))).fields)
    return Finding(
        row.id, skill.name, instruction.kind, instruction.material.genre, instruction.goal, said, measured(row, skill, said)
    )


def measured(row: Example, skill: Skill, said: Mapping[str, Any]) -> dict[str, bool]:
    """Which measures this row meets; those that do not apply to it are left out."""
    instruction = row.instruction
    met = {
        "kind named": said["solve"]["kind"].strip() == instruction.kind,
        "answer agreed with": bool(said["review"]["agree"]),
        "fit to train on": bool(said["review"]["fit"]),
    }
    if "genre" in said:
        met["genre named"] = said["genre"]["genre"].strip() == instruction.material.genre
    goal = next((g for g in skill.goals if g.name == instruction.goal), None)
    if goal and goal.answerability == "unanswerable":
        met["edits do what they say"] = not said["solve"]["answerable"]
    elif goal and goal.flips and instruction.parent and instruction.parent.gold:
        before = str(instruction.parent.gold.value).strip().lower()
        met["edits do what they say"] = str(said["solve"]["final"]).strip().lower().strip("().") != before
    return met


def spoken(row: Example) -> str:
    """The row as its judge reads it: who says what, calls and results included."""
    tools = "\n".join(orjson.dumps(tool).decode() for tool in row.instruction.tools)
    parts = [f"FUNCTIONS THAT THE ASSISTANT MAY CALL\n{tools}"] if tools else []
    for message in row.messages:
        body = str(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            body += f"\n[calls {call['function']['name']} with {call['function']['arguments']}]"
        parts.append(f"{str(message['role']).upper()}\n{body.strip()}")
    return "\n\n".join(parts)
