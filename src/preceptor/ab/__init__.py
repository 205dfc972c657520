"""Two prompts for one agent on the same documents: what is accepted, what it costs, which rows a judge prefers unseen.

documents ─▶ OLD/  the recipe as it is ─────────────╮   pairs: the same document, the same draws, the same replies
             NEW/  a fork of it, one prompt another ─╯   up to the agent that changed
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from preceptor.draws import digest, draw, fraction
from preceptor.engine.ask import JournaledAsk
from preceptor.engine.store import Item
from preceptor.errors import PackError, RecipeError, UserError
from preceptor.factory import Begun, begun, door, work
from preceptor.plan import Plan, items_of_pass, plan_of
from preceptor.prompts import read_agent
from preceptor.recipe import Recipe, ready
from preceptor.skill import nearest
from preceptor.types import Document, Example, Model, Produced

HERE = Path(__file__).parent
RESAMPLES = 1000
TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Span:
    """A difference or a share, and between what and what it lies nineteen times in twenty."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """What one prompt made of all documents."""

    made: int
    accepted: int
    calls: int
    tokens: int
    money: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The two prompts beside each other. Differences are new minus old, paired by document."""

    agent: str
    documents: int
    old: Arm
    new: Arm
    acceptance: Span
    """Of the share of rows made that are accepted."""
    rows: Span
    """Of accepted rows per document."""
    cost: Span
    """Of what an accepted row costs: in money, or in completion and prompt tokens where nothing is priced."""
    priced: bool
    preferred: Span | None
    """The share of pairs in which the new row is preferred, ties as halves; None: no judge, or no pair that differs."""
    wins: tuple[int, int, int]
    """Pairs that the new won, the old won, and that are even or were judged by their place."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of one document in one arm."""

    examples: tuple[Example, ...]
    calls: int
    tokens: int
    money: float

    @property
    def accepted(self) -> int:
        return sum(e.status == "accepted" for e in self.examples)


Results = dict[str, _Made]
"""By document, in plan order."""


def compare(
    recipe: Recipe,
    old: str,
    new: Path,
    into: str | Path = "",
    *,
    documents: int = 30,
    models: Mapping[str, Model] | None = None,
    given: Iterable[Document] | None = None,
    tell: Any = None,
    notice: Any = lambda line: None,
) -> Compared:
    """The agent named `old` against the prompt in the file `new`, on so many documents drawn from the recipe's.

    Everything is kept in `into` (default: runs/ab-NAME): typed again it goes on, and pays for nothing twice. The second arm is
    a fork of the first, so that what the change does not reach is not paid for again. The recipe's cap holds for all together.
    """
    recipe = recipe if models else ready(recipe, given=given is not None)
    plan = plan_of(recipe.model_copy(update={"passes": 1, "rows": None, **({"teacher": "given"} if models else {})}))
    one, other = _arms(plan, old, new)
    folder = Path(into or recipe.path(f"runs/ab-{recipe.name}"))
    how = {"tell": tell, "poll": 0.0, "signals": False}
    return asyncio.run(_compare(one, other, old, folder, documents, models, given, how, notice))


def _arms(plan: Plan, old: str, new: Path) -> tuple[Plan, Plan]:
    """The plan narrowed to the agent's skill, and the same with the new prompt in the agent's place."""
    every = {agent.name: (skill, key) for skill in plan.skills.values() for key, agent in skill.agents.items()}
    wanted = old.removesuffix(".md")
    hits = [name for name in every if name == wanted or name.endswith(f"/{wanted}") or wanted.endswith(f"/{name}")]
    if len(hits) != 1:
        told = f"fits {', '.join(hits)}; write the whole name" if hits else f"is no agent of them; {nearest(old, list(every))}"
        raise RecipeError(f"--agent {old!r}, in the skills of this recipe: {told}")
    skill, key = every[hits[0]]
    was = skill.agents[key]
    if not new.is_file():
        raise RecipeError(f"--agent … {str(new)!r}: no such file; the new prompt is a Markdown file like {was.name}.md")
    agent = read_agent(new, was.name, role=was.role)
    if {f.name for f in was.fields} - {f.name for f in agent.fields}:
        missing = sorted({f.name for f in was.fields} - {f.name for f in agent.fields})
        raise PackError(f"{new}: [reply] lacks {', '.join(missing)}, which {was.name} has and what follows needs")
    mark = digest(skill.fingerprint, "ab", new.read_text(encoding="utf-8"))
    changed = replace(skill, agents={**skill.agents, key: agent}, fingerprint=mark)
    return replace(plan, skills={skill.name: skill}), replace(plan, skills={skill.name: changed})


async def _compare(
    one: Plan,
    other: Plan,
    agent: str,
    folder: Path,
    most: int,
    models: Mapping[str, Model] | None,
    given: Iterable[Document] | None,
    how: Mapping[str, Any],
    notice: Any,
) -> Compared:
    held = None if given is None else list(given)
    async with begun(one, folder / "old", notice, models, held, how) as run:
        documents = draw(list(run.documents), one.recipe.seed, "ab", k=most, name=lambda d: d.id)
        old = await _made(run, documents)
        paid = run.outside.purse.spent / 1e9
    other = _within(other, paid)
    async with begun(other, folder / "new", notice, models, held, how, fork_from=folder / "old") as run:
        new = await _made(run, documents)
        paid += run.outside.purse.spent / 1e9
        priced = any(made.money for made in (*old.values(), *new.values()))
        judged = "judge" in run.outside.models
    wins: dict[str, list[float]] = {}
    if judged:
        async with begun(_within(one, paid), folder / "judged", notice, models, held, how) as run:
            wins = await _preferred(run, old, new)
    return _told(agent, old, new, wins, priced)


def _within(plan: Plan, paid: float) -> Plan:
    """The plan under what is left of its cap."""
    limits = plan.recipe.limits
    if limits.cost is None:
        return plan
    left = max(1e-9, limits.cost - paid)
    return replace(plan, recipe=plan.recipe.model_copy(update={"limits": limits.model_copy(update={"cost": left})}))


async def _made(run: Begun, documents: Sequence[Document]) -> Results:
    """Every document has gone its way, and that way is gone once more from the journal: what was asked, and what it cost."""
    items = [i for i in items_of_pass(run.plan, documents, 0)]
    ended = await run.engine(run.plan, items)
    if ended.progress.parked or ended.interrupted:
        raise UserError("replies are waited for; when they are in, the same command goes on")
    run.outside.reopen()
    made: Results = {}
    for item in items:
        asked: JournaledAsk = door(run.outside, run.plan, run.examples)(item)
        produced: Produced = await work(run.plan)(item, asked)
        made[item.document.id] = _cost(run, item, produced, asked.asked)
    return made


def _cost(run: Begun, item: Item, produced: Produced, asked: frozenset[str]) -> _Made:
    rows = run.outside.journal.read("SELECT key, prompt_tokens + completion_tokens, cost FROM calls WHERE item = ?", (item.id,))
    own = [(tokens, cost) for key, tokens, cost in rows if key in asked]
    return _Made(produced.examples, len(own), sum(t for t, _ in own), sum(c for _, c in own) / 1e9)


# ── preference ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _preferred(run: Begun, old: Results, new: Results) -> dict[str, list[float]]:
    """Of each document with rows of both that differ: 1 where the new one won a pair, 0 where the old, a half where neither.

    A judge sees two rows and not whose they are, in both orders; who wins by its place alone has not won.
    """
    agent = read_agent(HERE / "prefer.md", "ab/prefer")
    run.outside.reopen()

    async def one(document: str, pair: tuple[Example, Example]) -> float:
        ask = JournaledAsk(run.outside, digest("ab", document, pair[0].id, pair[1].id), seed="ab")
        texts = [_shown(example) for example in pair]
        first = (await ask(agent, first=texts[0], second=texts[1])).fields["better"]
        second = (await ask(agent, first=texts[1], second=texts[0])).fields["better"]
        return {("A", "B"): 0.0, ("B", "A"): 1.0}.get((first, second), 0.5)

    pairs = [(document, pair) for document in old for pair in _pairs(old[document], new[document])]
    scores = await asyncio.gather(*(one(document, pair) for document, pair in pairs))
    wins: dict[str, list[float]] = {}
    for (document, _), score in zip(pairs, scores, strict=True):
        wins.setdefault(document, []).append(score)
    return wins


def _pairs(old: _Made, new: _Made) -> list[tuple[Example, Example]]:
    """Accepted rows of both arms that belong together and differ: of the same instruction, else of the same kind."""
    left, pairs = [e for e in new.examples if e.status == "accepted"], []
    for row in (e for e in old.examples if e.status == "accepted"):
        same = [e for e in left if e.instruction.id == row.instruction.id]
        alike = same or [e for e in left if e.instruction.kind == row.instruction.kind]
        if alike:
            left.remove(alike[0])
            if alike[0].messages != row.messages:
                pairs.append((row, alike[0]))
    return pairs


def _shown(example: Example) -> str:
    return "\n\n".join(f"[{m['role']}]\n{m.get('content') or m.get('tool_calls') or ''}" for m in example.messages)


# ── intervals ────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(agent: str, old: Results, new: Results, wins: Mapping[str, Sequence[float]], priced: bool) -> Compared:
    documents = list(old)

    def share(arm: Results, among: Sequence[str]) -> float:
        return _ratio(sum(arm[d].accepted for d in among), sum(len(arm[d].examples) for d in among))

    def price(arm: Results, among: Sequence[str]) -> float:
        paid = sum(arm[d].money if priced else arm[d].tokens for d in among)
        return _ratio(paid, sum(arm[d].accepted for d in among))

    def each(arm: Results, among: Sequence[str]) -> float:
        return _ratio(sum(arm[d].accepted for d in among), len(among))

    def apart(by: Any) -> Span:
        return _span(documents, lambda among: by(new, among) - by(old, among))

    scores = [score for said in wins.values() for score in said]
    judged = [d for d in documents if d in wins]
    preferred = None
    if judged:
        preferred = _span(judged, lambda among: _ratio(sum(sum(wins[d]) for d in among), sum(len(wins[d]) for d in among)))
    counts = (scores.count(1.0), scores.count(0.0), scores.count(0.5))
    spans = apart(share), apart(each), apart(price)
    return Compared(agent, len(documents), _arm(old), _arm(new), spans[0], spans[1], spans[2], priced, preferred, counts)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _arm(made: Results) -> Arm:
    of = made.values()
    rows, accepted = sum(len(m.examples) for m in of), sum(m.accepted for m in of)
    return Arm(rows, accepted, sum(m.calls for m in of), sum(m.tokens for m in of), sum(m.money for m in of))


def _span(documents: Sequence[str], measure: Any) -> Span:
    """The measure of all documents, and the middle 95 % of what it is of documents drawn again from them."""
    n = len(documents)
    drawn = ([documents[int(n * fraction("ab", r, i))] for i in range(n)] for r in range(RESAMPLES))
    again = sorted(measure(among) for among in drawn)
    low, high = again[int(TAIL * RESAMPLES)], again[int((1 - TAIL) * RESAMPLES) - 1]
    middle = measure(documents)
    return Span(min(low, middle), middle, max(high, middle))
