"""The tables of docs/proof.md: arms by skill, differences with intervals, kinds. Numbers as they came out, none left away."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.student.evaluate import Marked, Result, Share, bootstrapped
from preceptor.student.shown import percent, points, tabled

AIMS = (("base, 3 shots", 20.0), ("shuffled", 10.0))
"""Taught minus this arm is to be at least so many points, with the lower end of the interval above zero."""
APART = ("base", "base, 3 shots", "shuffled", "failed", "unrefined")


def slots(results: Mapping[str, Result], arms: Sequence[str], does: Mapping[str, str]) -> dict[str, Any]:
    """What the page's template is filled with."""
    by_arm: defaultdict[str, list[Result]] = defaultdict(list)
    for name, result in results.items():
        arm, _, seed = name.rpartition("-")
        by_arm[arm if seed.isdigit() else name].append(result)
    order = [name for name in does if name in by_arm]
    skills = sorted({m.skill for result in results.values() for m in result.marked})
    return {
        "arms": tabled(("arm", "seeds", *skills), [arm_line(name, by_arm[name], skills) for name in order]),
        "what": tabled(("arm", "what it is"), [(name, does[name]) for name in order]),
        "apart": tabled(("taught minus", *skills), apart_lines(by_arm, skills)),
        "seeds": tabled(("arm", "seed", *skills), seed_lines(results, skills)),
        "kinds": tabled(("skill", "kind", "items", *order), kind_lines(by_arm, order)),
        "aims": aims(by_arm, skills),
    }


def values(results: Sequence[Result], skill: str, kind: str = "") -> dict[str, tuple[str, float]]:
    """For each item its document and the share of seeds that had it right."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    where: dict[str, Marked] = {}
    for result in results:
        for m in result.marked:
            if m.skill == skill and kind in ("", m.kind):
                found[m.id].append(float(m.right))
                where[m.id] = m
    return {key: (where[key].source, sum(v) / len(v)) for key, v in found.items()}


def share(results: Sequence[Result], skill: str, kind: str = "") -> Share:
    """The mean over items and seeds, documents resampled."""
    return bootstrapped(list(values(results, skill, kind).values()))


def apart(first: Sequence[Result], other: Sequence[Result], skill: str) -> Share:
    """The paired difference of two arms."""
    mine, theirs = values(first, skill), values(other, skill)
    return bootstrapped([(source, value - theirs[key][1]) for key, (source, value) in mine.items() if key in theirs])


def arm_line(name: str, results: Sequence[Result], skills: Sequence[str]) -> tuple[str, ...]:
    return (name, str(len(results)), *(percent(share(results, skill)) for skill in skills))


def apart_lines(by_arm: Mapping[str, Sequence[Result]], skills: Sequence[str]) -> list[tuple[str, ...]]:
    if "taught" not in by_arm:
        return []
    return [
        (name, *(points(apart(by_arm["taught"], by_arm[name], skill)) for skill in skills)) for name in APART if name in by_arm
    ]


def seed_lines(results: Mapping[str, Result], skills: Sequence[str]) -> list[tuple[str, ...]]:
    lines = []
    for name, result in results.items():
        arm, _, seed = name.rpartition("-")
        if seed.isdigit():
            lines.append((arm, seed, *(percent(share([result], skill)) for skill in skills)))
    return lines


def kind_lines(by_arm: Mapping[str, Sequence[Result]], order: Sequence[str]) -> list[tuple[str, ...]]:
    some = next(iter(by_arm.values()))[0]
    kinds = sorted({(m.skill, m.kind) for m in some.marked})
    counts = {k: sum((m.skill, m.kind) == k for m in some.marked) for k in kinds}
    return [
        (skill, kind, str(counts[skill, kind]), *(f"{100 * share(by_arm[name], skill, kind).value:.0f} %" for name in order))
        for skill, kind in kinds
    ]


def aims(by_arm: Mapping[str, Sequence[Result]], skills: Sequence[str]) -> list[str]:
    """For each aim, on which skills it was reached and on which it was not."""
    told = []
    for name, least in AIMS:
        if "taught" not in by_arm or name not in by_arm:
            told.append(f"Taught minus {name}: not measured.")
            continue
        reached: list[str] = []
        missed: list[str] = []
        for skill in skills:
            found = apart(by_arm["taught"], by_arm[name], skill)
            (reached if 100 * found.value >= least and found.low > 0 else missed).append(f"{skill} {points(found)}")
        yes, no = "; ".join(reached) or "none", "; ".join(missed) or "none"
        aim = f"Taught minus {name} by {least:.0f} points or more, the interval above zero"
        told.append(f"{aim}: reached on {yes}. Not on {no}.")
    return told
