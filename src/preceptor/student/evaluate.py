"""A model sits an exam: deciding checks say what is right; shares with intervals by skill and kind, paired against another."""

import asyncio
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from preceptor.checks.options import credited
from preceptor.draws import draw
from preceptor.engine.journal import unpack
from preceptor.errors import UserError
from preceptor.files import whole
from preceptor.flows.verify import check_of
from preceptor.skill import Skill
from preceptor.student.answer import Asked, Tell, replies
from preceptor.student.exam import Exam, Item, read_exam, skill_named, unpacked
from preceptor.student.gold import Nobody
from preceptor.types import Example, canonical

DRAWS = 2000
"""Resamples of a bootstrap."""
Z = 1.959964
"""Of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One item as it was answered."""

    id: str
    skill: str
    kind: str
    source: str
    reply: str
    right: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What a model made of an exam."""

    model: str
    exam: str
    shots: int
    marked: tuple[Marked, ...]
    seconds: float = 0.0


# ── marking ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def is_right(item: Item, reply: str, skill: Skill) -> bool:
    """Whether the reply is the one next call, or passes every check by which code decides this kind, and at least one."""
    if item.call:
        return same_call(item.call, reply)
    example = with_reply(unpacked(item.example), reply)
    kind = skill.kind(item.kind)
    checks = [c for c in (check_of(name, skill) for name in kind.checks) if c.decides and not c.needs]
    verdicts = [await c(example, skill, Nobody(item.id)) for c in checks]
    return any(v.outcome == "pass" for v in verdicts) and not any(v.outcome == "fail" for v in verdicts)


def with_reply(example: Example, reply: str) -> Example:
    """The row with this reply as its answer; the bare answer is the whole of it."""
    said = reply.strip()
    final = said
    if example.instruction.options and (letter := credited(said, example.instruction.options)):
        final = letter
    return replace(example, answer=said, fields={"final": final}, messages=({"role": "assistant", "content": said},))


def same_call(call: Mapping[str, Any], reply: str) -> bool:
    """Whether the reply is this call: name and arguments equal, in any order and spacing, with nothing else beside it."""
    try:
        said = unpack(reply.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip())
    except ValueError:
        return False
    return isinstance(said, dict) and canonical(said) == canonical(dict(call))


async def mark(exam: Exam, said: Sequence[str]) -> list[Marked]:
    """Every item with its verdict."""
    skills: dict[str, Skill] = {}
    marked = []
    for item, reply in zip(exam.items, said, strict=True):
        skill = skills.setdefault(item.pack, skill_named(item))
        right = await is_right(item, reply, skill)
        marked.append(Marked(item.id, item.skill, item.kind, item.source, reply, right))
    return marked


def asked(exam: Exam, shots: int) -> list[Asked]:
    """What the model reads: each item, with `shots` solved tasks of its kind before it."""
    return [Asked((*item.messages[:1], *shown(item, exam, shots), *item.messages[1:]), item.most) for item in exam.items]


def shown(item: Item, exam: Exam, shots: int) -> list[Mapping[str, str]]:
    """Solved tasks as earlier turns: of the item's kind, else of its skill; the same for all items of a kind."""
    same = [s for s in exam.shots if s.skill == item.skill and s.kind == item.kind]
    near = same if len(same) >= shots else [*same, *(s for s in exam.shots if s.skill == item.skill and s.kind != item.kind)]
    if shots > len(near):
        raise UserError(f"the exam holds {len(near)} solved tasks for {item.skill}/{item.kind}; --shots {len(near)} at most")
    drawn = draw(near, "shots", item.kind, k=shots, name=lambda s: s.id)
    turns: list[Mapping[str, str]] = []
    for shot in drawn:
        turns += [*(m for m in shot.messages if m["role"] != "system"), {"role": "assistant", "content": shot.answer}]
    return turns


def evaluate(
    model: str,
    exam: Exam | Path,
    *,
    shots: int = 0,
    name: str = "",
    key_env: str = "",
    tell: Tell = lambda done, of: None,
    answer: Callable[..., list[str]] = replies,
) -> Result:
    """The model's result. MODEL is `local`, a GGUF file, a folder, or an endpoint's address with the name of its model."""
    held = exam if isinstance(exam, Exam) else read_exam(exam)
    began = time.monotonic()
    said = answer(model, asked(held, shots), name=name, key_env=key_env, tell=tell)
    marked = asyncio.run(mark(held, said))
    return Result(name or model, held.id, shots, tuple(marked), round(time.monotonic() - began, 1))


# ── shares and intervals ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Share:
    """A share of right items, or a difference of two, with a 95 % interval."""

    items: int
    value: float
    low: float
    high: float


def wilson(right: int, items: int) -> Share:
    """Wilson's interval for a share: holds near 0 and 1 too, as if items were independent."""
    if not items:
        return Share(0, 0.0, 0.0, 1.0)
    p, z = right / items, Z * Z / items
    middle = (p + z / 2) / (1 + z)
    half = Z * math.sqrt(p * (1 - p) / items + z / (4 * items)) / (1 + z)
    return Share(items, p, max(0.0, middle - half), min(1.0, middle + half))


def bootstrapped(values: Sequence[tuple[str, float]], seed: int = 1) -> Share:
    """The mean of (document, value) with an interval that resamples documents: items of one document are alike."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for source, value in values:
        groups[source].append(value)
    sums = [(sum(group), len(group)) for group in groups.values()]
    if not sums:
        return Share(0, 0.0, 0.0, 0.0)
    chance = random.Random(seed)
    means = []
    for _ in range(DRAWS):
        drawn = chance.choices(sums, k=len(sums))
        means.append(sum(s for s, _ in drawn) / sum(n for _, n in drawn))
    means.sort()
    value = sum(v for _, v in values) / len(values)
    return Share(len(values), value, means[int(0.025 * DRAWS)], means[int(0.975 * DRAWS) - 1])


def cells(marked: Iterable[Marked]) -> dict[tuple[str, str], list[Marked]]:
    """The items of each skill (with an empty kind) and of each kind."""
    found: defaultdict[tuple[str, str], list[Marked]] = defaultdict(list)
    for one in marked:
        found[one.skill, ""].append(one)
        found[one.skill, one.kind].append(one)
    return dict(sorted(found.items()))


def table(result: Result, against: Result | None = None) -> list[dict[str, Any]]:
    """A line for each skill and kind: share right with Wilson's interval and by documents, and the paired difference."""
    other = {m.id: m.right for m in against.marked} if against else {}
    if against and set(other) != {m.id for m in result.marked}:
        raise UserError(f"{against.model} sat another exam ({against.exam}, not {result.exam}): nothing can be paired")
    lines = []
    for (skill, kind), marked in cells(result.marked).items():
        right = sum(m.right for m in marked)
        share, resampled = wilson(right, len(marked)), bootstrapped([(m.source, float(m.right)) for m in marked])
        line: dict[str, Any] = {
            "skill": skill,
            "kind": kind,
            "items": len(marked),
            "right": right,
            "share": share.value,
            "wilson": [share.low, share.high],
            "by_document": [resampled.low, resampled.high],
        }
        if against:
            apart = bootstrapped([(m.source, float(m.right) - float(other[m.id])) for m in marked])
            line |= {"against": apart.value, "against_interval": [apart.low, apart.high]}
        lines.append(line)
    return lines


# ── on disk ──────────────────────────────────────────────────────────────────────────────────────────────────────


def write_result(result: Result, file: Path) -> None:
    """The result as JSON, whole or not at all."""
    whole(file, orjson.dumps(result, option=orjson.OPT_INDENT_2))


def read_result(file: Path) -> Result:
    """The result in a file. Raises UserError where it is none."""
    try:
        held = orjson.loads(file.read_bytes())
        return Result(**{**held, "marked": tuple(Marked(**m) for m in held["marked"])})
    except (OSError, orjson.JSONDecodeError, TypeError, KeyError):
        raise UserError(f"no result at {file}; make one: preceptor evaluate MODEL EXAM --into {file}") from None
