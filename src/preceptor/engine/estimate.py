"""What a whole run will take, told from the items of it that are done: rows, calls, tokens, money, hours, with an interval.

    done items ─▶ of each skill a line: amount = a + b · characters of the document ─▶ what is left, item by item, on that line
                  drawn again 400 times from themselves ─▶ how far off that may be (nine times in ten)

What is done is known, so it has no interval. Where a number of rows is asked for, what is left is counted by rows: items go
on until the cell that fills most slowly is full.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from preceptor.draws import fraction
from preceptor.engine.store import Store

RESAMPLES = 400
CERTAIN = 0.9
"""Which part of the intervals holds the truth, if the pilot is like the rest."""
NARROW = 0.15
"""An interval of at most so much to each side is good enough."""
AMOUNTS = ("accepted", "made", "calls", "prompt_tokens", "completion_tokens", "money", "seconds")


@dataclass(frozen=True, slots=True)
class Span:
    """What is to be expected, and between what and what it lies nine times in ten."""

    low: float
    middle: float
    high: float

    @property
    def off(self) -> float:
        """How far it may be off, as a part of the middle."""
        return max(self.high - self.middle, self.middle - self.low) / self.middle if self.middle else 0.0


@dataclass(slots=True)
class Sample:
    """What one done item took."""

    skill: str
    characters: int
    amounts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(AMOUNTS, 0.0))
    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Accepted rows by kind."""
    steps: dict[str, dict[str, float]] = field(default_factory=dict)
    """Calls, tokens and money by step."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole run will take: so many `items`, those that are `done` among them."""

    items: float
    done: int
    paid: float
    """Money that the pilot has cost; part of the whole."""
    whole: Mapping[str, Span]
    """Every amount of AMOUNTS, and `hours`."""
    skills: Mapping[str, Mapping[str, Span]]
    steps: Sequence[Mapping[str, object]]
    """Per skill and step: calls, tokens and money to be expected."""
    priced: bool
    unreached: Sequence[str] = ()
    """Cells of a target of which the pilot has seen no row."""

    @property
    def narrow(self) -> bool:
        """Whether the intervals of what is paid for are narrow enough."""
        return max(self.whole["money" if self.priced else "completion_tokens"].off, self.whole["calls"].off) <= NARROW


def samples(store: Store) -> list[Sample]:
    """Every item that is finished or dropped, with what it took."""
    told: dict[str, Sample] = {}
    for item, skill, size in store.rows(
        "SELECT i.id, i.skill, length(json_extract(n.body, '$.text')) FROM items AS i JOIN nodes AS n ON n.item = '' "
        "AND n.key = i.document WHERE i.state IN ('finished', 'dropped') ORDER BY i.pass, i.place, i.skill"
    ):
        told[item] = Sample(skill, size)
    sums = "count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost) / 1e9, sum(ended - started)"
    for item, agent, *amounts in store.rows(f"SELECT item, agent, {sums} FROM calls GROUP BY item, agent"):
        if item in told:
            step = told[item].steps.setdefault(agent.split("/")[-2] if "/" in agent else agent, defaultdict(float))
            for name, amount in zip(AMOUNTS[2:], amounts, strict=True):
                told[item].amounts[name] += amount
                step[name] += amount
    for item, kind, status, n in store.rows(
        "SELECT item, kind, status, count(*) FROM nodes WHERE type = 'example' GROUP BY item, kind, status"
    ):
        if item in told:
            told[item].amounts["made"] += n
            if status in ("accepted", "surplus"):
                told[item].amounts["accepted"] += n
                told[item].rows[kind] += n
    return list(told.values())


def estimated(
    done: Sequence[Sample],
    left: Mapping[str, Sequence[int]],
    cells: Mapping[tuple[str, str], int],
    slots: int,
    priced: bool,
) -> Estimate:
    """The whole run, from what is `done` of it and the characters of every item that is `left`, by skill.

    With `cells` (a target), no more of what is left is counted than it takes to fill them, nor more passes than there are
    items in `left`.
    """
    by_skill = {name: [s for s in done if s.skill == name] for name in dict.fromkeys((*left, *(s.skill for s in done)))}
    drawn, count, unreached = _Drawn(), 0.0, list[str]()
    wholes: dict[str, list[float]] = {}
    spans: dict[str, dict[str, Span]] = {}
    for name, own in by_skill.items():
        sizes, missing = left.get(name, ()), [c for c in cells if c[0] == name and not _yield(own, c, cells)]
        unreached += [f"{skill}/{kind or 'other kinds'}" for skill, kind in missing]
        wanted = {c: n for c, n in cells.items() if c[0] == name and c not in missing}
        totals = {amount: _totals(own, sizes, amount, wanted, drawn, name) for amount in AMOUNTS}
        spans[name] = {amount: _span(values) for amount, values in totals.items()}
        count += _items(own, sizes, wanted)
        for amount, values in totals.items():
            wholes[amount] = [a + b for a, b in zip(wholes.get(amount, [0.0] * len(values)), values, strict=True)]
    whole = {amount: _span(values) for amount, values in wholes.items()}
    seconds = whole["seconds"]
    whole["hours"] = Span(*(value / slots / 3600 for value in (seconds.low, seconds.middle, seconds.high)))
    paid = sum(s.amounts["money"] for s in done)
    return Estimate(count, len(done), paid, whole, spans, list(_steps(by_skill, spans)), priced, unreached)


def _yield(own: Sequence[Sample], cell: tuple[str, str], cells: Mapping[tuple[str, str], int]) -> float:
    """Accepted rows of the cell that an item gives."""
    named = {kind for skill, kind in cells if skill == cell[0] and kind}
    rows = sum(n for s in own for kind, n in s.rows.items() if (kind == cell[1] if cell[1] else kind not in named))
    return rows / len(own) if own else 0.0


def _items(own: Sequence[Sample], sizes: Sequence[int], wanted: Mapping[tuple[str, str], int]) -> float:
    """How many items of the skill it takes: all, or as many as the slowest cell of its target needs."""
    if not wanted:
        return len(own) + len(sizes)
    needed = max(n / max(_yield(own, cell, wanted), 1e-9) for cell, n in wanted.items())
    return min(max(needed, len(own)), len(own) + len(sizes))


def _totals(
    own: Sequence[Sample],
    sizes: Sequence[int],
    amount: str,
    wanted: Mapping[tuple[str, str], int],
    drawn: "_Drawn",
    place: str,
) -> list[float]:
    """The whole of an amount: first by the samples as they are, then by each resample of them."""
    known, made = sum(s.amounts[amount] for s in own), []
    for again in (own, *drawn.of(own, place)):
        part = 1.0
        if wanted and sizes:
            part = max(0.0, _items(again, sizes, wanted) - len(own)) / len(sizes)
        made.append(known + max(0.0, part * _on_the_line(again, sizes, amount)))
    if wanted and amount == "accepted":
        reached = sum(min(n, _yield(own, c, wanted) * (len(own) + len(sizes))) for c, n in wanted.items())
        return [reached] * len(made)
    # what single items do beside the line: it evens out over many, and does not over a few
    beside = [s.amounts[amount] - _line(own, amount)(s.characters) for s in own]
    noise = math.sqrt(sum(b * b for b in beside) / max(1, len(own) - 1) * len(sizes))
    return [made[0], *(m + noise * _normal(place, amount, n) for n, m in enumerate(made[1:]))]


def _on_the_line(own: Sequence[Sample], sizes: Sequence[int], amount: str) -> float:
    line = _line(own, amount)
    return sum(line(size) for size in sizes)


def _line(own: Sequence[Sample], amount: str) -> "_Line":
    """amount = a + b · characters, by least squares; flat where there is too little to tell a slope from."""
    if not own:
        return _Line(0.0, 0.0)
    x, y = [s.characters for s in own], [s.amounts[amount] for s in own]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    spread = sum((v - middle) ** 2 for v in x)
    if len(own) < 5 or spread < len(x) * (0.05 * middle) ** 2:
        return _Line(level, 0.0)
    slope = sum((v - middle) * (w - level) for v, w in zip(x, y, strict=True)) / spread
    return _Line(level - slope * middle, slope)


@dataclass(frozen=True, slots=True)
class _Line:
    at: float
    slope: float

    def __call__(self, characters: float) -> float:
        return max(0.0, self.at + self.slope * characters)


class _Drawn:
    """Resamples of the done items: the same for every amount, so that amounts that go together stay together."""

    def __init__(self) -> None:
        self._of: dict[str, list[list[Sample]]] = {}

    def of(self, own: Sequence[Sample], place: str) -> list[list[Sample]]:
        if place not in self._of:
            n = len(own)
            picks = ([own[int(n * fraction(place, r, i))] for i in range(n)] for r in range(RESAMPLES))
            self._of[place] = list(picks)
        return self._of[place]


def _normal(*place: object) -> float:
    """A draw from the normal distribution (Box and Muller 1958)."""
    one, other = fraction("normal", *place, 1), fraction("normal", *place, 2)
    return math.sqrt(-2 * math.log(1 - one)) * math.cos(2 * math.pi * other)


def _span(values: Sequence[float]) -> Span:
    """The estimate, and the middle nine tenths of what resamples say; wider where there are few resampled things."""
    first, again = values[0], sorted(values[1:])
    out = (1 - CERTAIN) / 2
    low, high = again[int(out * len(again))], again[min(len(again) - 1, int((1 - out) * len(again)))]
    return Span(min(first, max(0.0, low)), first, max(first, high))


def _steps(
    by_skill: Mapping[str, Sequence[Sample]], spans: Mapping[str, Mapping[str, Span]]
) -> Iterator[dict[str, object]]:
    """What each step of a skill takes, in the proportion in which the done items took it."""
    for skill, own in by_skill.items():
        sums: dict[str, dict[str, float]] = {}
        for sample in own:
            for step, amounts in sample.steps.items():
                mine = sums.setdefault(step, defaultdict(float))
                for name, amount in amounts.items():
                    mine[name] += amount
        for step in sorted(sums):
            row: dict[str, object] = {"skill": skill, "step": step}
            for name in ("calls", "prompt_tokens", "completion_tokens", "money"):
                known = sum(s.amounts[name] for s in own)
                row[name] = sums[step][name] * (spans[skill][name].middle / known if known else 0.0)
            yield row
