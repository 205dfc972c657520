"""Quotas: which part of the instructions is made unanswerable, so that the rows come out at the share that was asked for.

    rows           = as made · 1 + native   + refined · kept
    unanswerable   =           native       + drawn   · kept        drawn = could be · part        part = ?

Nothing is counted while a run goes on: the part follows from the pack's numbers alone, so that every instruction draws for
itself, and neither the order of completion nor an interruption changes a row.
"""

from functools import lru_cache

from preceptor.draws import fraction
from preceptor.skill import Goal, Kind, Skill, fits
from preceptor.types import Document, Instruction

UNANSWERABLE = "unanswerable"


def made_unanswerable(seed: Instruction, skill: Skill, roles: frozenset[str], place: str) -> bool:
    """Whether this instruction is drawn for the quota. Call it where a goal for that suits the instruction."""
    return fraction(place, "quota", UNANSWERABLE, seed.id) < part(skill, seed.material.document, roles)


def steered(goal: Goal, skill: Skill) -> bool:
    """Whether this goal is drawn by the quota, and not by its weight."""
    return goal.answerability == UNANSWERABLE and bool(skill.of("quota", UNANSWERABLE))


def part(skill: Skill, document: Document, roles: frozenset[str]) -> float:
    """The part of those instructions that could be made unanswerable which has to be, for documents of this kind."""
    return _part(skill, document.kind, document.language, roles)


@lru_cache(maxsize=256)
def _part(skill: Skill, kind: str, language: str, roles: frozenset[str]) -> float:
    least, most = skill.of("quota", UNANSWERABLE)
    middle, kept, share = (least + most) / 2, float(skill.of("quota", "kept")), float(skill.of("refine", "share"))
    goals, rounds = int(skill.of("refine", "goals")), int(skill.of("refine", "rounds"))
    native = could = begun = freed = 0.0
    for of, genre, weight in expected(skill, kind, language, roles):
        suited = [goal for goal in skill.goals if allows(goal, of, of.shape, genre, kind, roles)]
        others = sum(not steered(goal, skill) for goal in suited)
        begun += weight * share * min(goals, others) * rounds
        if is_native(of, skill):
            native += weight
        elif len(suited) > others:
            could += weight
            freed += weight * share * (min(goals, others) - min(goals - 1, others)) * rounds
    if not could:
        return 0.0
    rows = 1 + native + begun * kept
    wanted: float = (middle * rows - native) / (could * kept - middle * kept * (could - freed))
    return min(1.0, max(0.0, wanted))


def expected(skill: Skill, kind: str, language: str, roles: frozenset[str]) -> list[tuple[Kind, str, float]]:
    """The kinds that material from such a document may be asked, by genre, each with its part of all instructions."""
    genres = [
        (agent.name.rsplit("/", 1)[-1], 1.0)
        for agent in skill.in_step("1_transform")
        if not agent.suits or kind in agent.suits
    ]
    if skill.of("transform", "original"):
        genres.append(("identity", float(skill.of("transform", "identity_weight"))))
    found, whole = [], sum(weight for _, weight in genres)
    for genre, weight in genres:
        asked = [k for k in skill.drawable(roles) if not k.languages or language in k.languages]
        suited = [k for k in asked if fits(k.suits, genre, kind)]
        all_drawn = len(suited) <= skill.of("instruct", "pick")
        weights = [1.0 if all_drawn else k.weight for k in suited]
        found += [(k, genre, weight / whole * w / sum(weights)) for k, w in zip(suited, weights, strict=True) if w]
    return found


def is_native(kind: Kind, skill: Skill) -> bool:
    """Whether the kind brings an unanswerable instruction beside its answerable twin by itself."""
    agent = skill.agents.get(f"2_instruct/{kind.agent or kind.name}")
    return kind.shape == UNANSWERABLE or (agent is not None and any(field.name == "twin" for field in agent.fields))


def allows(goal: Goal, kind: Kind, shape: str, genre: str, document_kind: str, roles: frozenset[str]) -> bool:
    """Whether refinement may pursue this goal with an instruction of this kind and shape."""
    return (
        (not kind.goals or goal.name in kind.goals)
        and (not goal.kinds or kind.name in goal.kinds)
        and kind.name not in goal.spares
        and (not goal.shapes or shape in goal.shapes)
        and fits(goal.genres, genre, document_kind)
        and set(goal.needs) <= roles
    )
