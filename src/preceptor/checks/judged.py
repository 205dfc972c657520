"""What a judge is asked, and when its word counts: only with quotations that stand in the row to the letter.

A judge has other weights than whoever answered. It comes after the checks that code decides, and the flow lets those
override it. Where two things are compared it is asked in both orders, and only what it says in both is counted.
The tests of an item's key (negation, agreement, variance, entailment, form) have the judge fill in a table without
knowing the key; code then compares, so those verdicts are code's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from preceptor.checks.base import Check, check, failed, not_applicable, passed
from preceptor.checks.options import LETTERS, opposed, shared
from preceptor.checks.words import quoted, stands_in
from preceptor.errors import StepError
from preceptor.types import Ask, Example, Instruction, Reply, Verdict

NOT_THERE = "the judge quoted what is not there"
NEUTRAL = frozenset(["silent", "open", "stands", "alike", "different", "neither", "no"])
"""Verdicts that rest on words that are missing: an empty quotation is a fair answer beside them."""


# ── what a judge sees ────────────────────────────────────────────────────────────────────────────────────────────


def lettered(instruction: Instruction, *, turned: bool = False) -> list[dict[str, str]]:
    """The options with their letters, without roles and reasons; `turned` lists them from the last to the first.

    Turned lists are lettered anew: a reader that favours the first place has to change its letter.
    """
    texts = [option.text for option in instruction.options]
    return [{"letter": LETTERS[i], "text": t} for i, t in enumerate(reversed(texts) if turned else texts)]


def task_text(example: Example) -> str:
    """What the student was asked: the last message of the user, or the instruction's own text."""
    asked = [str(m.get("content", "")) for m in example.messages if m.get("role") == "user"]
    return asked[-1] if asked else example.instruction.text


def in_row(quote: str, example: Example) -> bool:
    """Whether a quotation stands in the row: in its messages, its answer or the passage."""
    said = [str(m.get("content") or "") for m in example.messages]
    return any(stands_in(quote, text) for text in (example.answer, example.instruction.material.text, *said))


def with_judge(verdict: Verdict, reply: Reply) -> Verdict:
    """The verdict, signed with the name of the model that judged."""
    from dataclasses import replace

    return replace(verdict, by=reply.model or "judge")


# ── a rubric ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def judge(
    example: Example, skill: Any, ask: Ask, agent: str = "_shared/rubric", points: Sequence[str] = (), **slots: Any
) -> Verdict:
    """The verdict of a rubric agent that replies with `quote`, `reason` and `verdict`, or a list of such `findings`.

    All findings must be `yes`, and with `points` there must be one for each. Not-applicable where the judge turns
    out to be the model that answered. A quotation that is not in the row makes the verdict a failed one that says so.
    """
    if "judge" not in ask.roles:
        return not_applicable("needs a model in the role judge")
    shown: dict[str, Any] = {"task": task_text(example), "answer": example.answer, "points": list(points),
                             "material_text": example.instruction.material.text, **slots}
    try:
        reply = await ask(skill.agent(agent), **shown)
    except StepError as error:
        return not_applicable(f"the judge gave no verdict: {error}")
    if reply.model and reply.model == example.model:
        return not_applicable(f"the judge is the model that answered: {reply.model}")
    return with_judge(weighed(reply.fields, points, example), reply)


def weighed(fields: Mapping[str, Any], points: Sequence[str], example: Example) -> Verdict:
    """What a rubric's reply amounts to."""
    findings = list(fields.get("findings") or [fields])
    numbers = [f.get("point") for f in findings]
    if points and sorted(n for n in numbers if n is not None) != list(range(1, len(points) + 1)):
        return failed(f"the judge gave findings for points {numbers} of {len(points)}")
    for finding in findings:
        quote = quoted(finding.get("quote"))
        if not quote and finding["verdict"] in NEUTRAL:
            continue
        if not in_row(quote, example):
            point = f"point {finding['point']}: " if finding.get("point") else ""
            return failed(f"{point}{NOT_THERE}: {quote[:120]!r}" if quote else f"{point}the judge says yes and quotes nothing")
    for finding in findings:
        if finding["verdict"] != "yes":
            number = finding.get("point")
            about = f"point {number} ({points[number - 1]}): " if points and number else ""
            return failed(f"{about}{finding['reason']}", hint=str(fields.get("hint") or ""))
    return passed("; ".join(str(f["reason"]) for f in findings)[:600])


def points_of(example: Example, skill: Any) -> tuple[str, ...]:
    """What a good answer must have: the instruction's own points, then those of its kind."""
    own = example.instruction.data.get("points") or ()
    kind = skill.kind(example.instruction.kind)
    said = [p if isinstance(p, str) else str(p.get("point", p.get("text", ""))) for p in own]
    return tuple(dict.fromkeys((*said, *kind.data.get("rubric", ()))))


@check(decides=False, needs=("judge",), blind="what the points do not ask for, and what judges are blind to",
       sees="a judge finds every point of the task and of its kind in the answer, with a quotation")
async def rubric(example: Example, skill: Any, ask: Ask) -> Verdict:
    points = points_of(example, skill)
    if not points:
        return not_applicable("neither the task nor its kind has points")
    return await judge(example, skill, ask, points=points)


# ── two things, both orders ──────────────────────────────────────────────────────────────────────────────────────


async def better_of(
    first: str, second: str, example: Example, skill: Any, ask: Ask, agent: str = "_shared/compare", *, aspect: str = ""
) -> tuple[str, str]:
    """Which of two answers a judge prefers, and why: `first`, `second`, or empty where it changes with the order."""
    said = []
    for left, right, names in ((first, second, ("first", "second")), (second, first, ("second", "first"))):
        reply = await ask(skill.agent(agent), task=task_text(example), first=left, second=right, aspect=aspect)
        quote, better = quoted(reply.fields.get("quote")), reply.fields["better"]
        if (quote or better not in NEUTRAL) and not (stands_in(quote, first) or stands_in(quote, second)):
            return "", f"{NOT_THERE}: {quote[:120]!r}"
        said.append((names[("first", "second").index(better)] if better != "neither" else "", reply.fields["reason"]))
    if said[0][0] != said[1][0]:
        return "", "the judge changed its mind with the order"
    return said[0]


# ── tables that a judge fills in without the key ─────────────────────────────────────────────────────────────────

Holds: TypeAlias = Callable[[Mapping[str, Any], Instruction], bool]
"""Whether a row of a judge's table says of its option what should be true of the key alone."""


def table_check(name: str, sees: str, holds: Holds, quotes: Sequence[str] = ("quote",)) -> Check:
    """A check that has a judge fill in a row for each option and demands that `holds` picks the key alone.

    For the kind `except_not`: all options but the key. `quotes`: the fields of a row that must stand in the passage.
    """

    async def run(example: Example, skill: Any, ask: Ask) -> Verdict:
        instruction = example.instruction
        if instruction.gold is None or instruction.gold.form != "option" or not instruction.options:
            return not_applicable("no option is keyed")
        parties: dict[str, Any] = {k: str(instruction.data.get(k, k)) for k in ("first", "second")}
        try:
            reply = await ask(skill.agent(f"_shared/{name}"), passage=instruction.material.text,
                              question=instruction.text, options=lettered(instruction), **parties)
        except StepError as error:
            return not_applicable(f"the judge gave no table: {error}")
        return compared(reply.fields, instruction, holds, quotes)

    return check(decides=False, needs=("judge",), sees=sees, blind="what the judge misreads", name=name)(run)


def compared(fields: Mapping[str, Any], instruction: Instruction, holds: Holds, quotes: Sequence[str]) -> Verdict:
    """What a filled-in table says of the key."""
    rows = list(fields["rows"])
    letters = list(LETTERS[: len(instruction.options)])
    if (has := sorted(r["letter"] for r in rows)) != letters:
        return failed(f"the judge's table has rows for {', '.join(has) or 'none'}; the options are {', '.join(letters)}")
    for row in (fields, *rows):
        for quote in (text for q in quotes if (text := quoted(row.get(q)))):
            if not stands_in(quote, instruction.material.text):
                about = f"option {row['letter']}: " if "letter" in row else ""
                return failed(f"{about}{NOT_THERE}: {quote[:120]!r}")
    key = str(instruction.gold.value) if instruction.gold else ""
    wanted = [x for x in letters if (x == key) != (instruction.kind == "except_not")]
    found = sorted(r["letter"] for r in rows if holds(r, instruction))
    said = {r["letter"]: " / ".join(str(r[v]) for v in ("first", "second", "verdict") if v in r) for r in rows}
    odd = [x for x in letters if (x in found) != (x in wanted)]
    told = f"the judge's table picks {', '.join(found) or 'none'}, keyed is {key}"
    told += "".join(f"; {x}: {said[x]}" for x in odd)
    return passed(told) if found == wanted else failed(told)


def _stand(row: Mapping[str, Any], instruction: Instruction) -> bool:
    both = shared if instruction.data.get("wanted") == "shared" else opposed
    for who in ("first", "second"):
        if row[who] not in NEUTRAL and not quoted(row.get(f"{who}_quote")):
            return False
    return both(str(row["first"]), str(row["second"]))


def _standing(row: Mapping[str, Any], instruction: Instruction) -> bool:
    wanted = "excluded" if instruction.kind == "cannot_be_true" else "follows"
    return bool(row["verdict"] == wanted and quoted(row.get("quote")))


def _says(verdict: str) -> Holds:
    """The row has this verdict, with words of the text for it."""
    return lambda row, _: bool(row["verdict"] == verdict and quoted(row.get("quote")))


negation_test = table_check(
    "negation_test", "a judge who denies each option in turn finds that the argument falls with the key alone",
    _says("falls"))
agreement_test = table_check(
    "agreement_test", "a judge who notes what both parties say to each option finds the key alone disputed, or shared",
    _stand, ("first_quote", "second_quote"))
variance_test = table_check(
    "variance_test", "a judge who answers each option both ways finds that the key's answers alone pull apart",
    _says("opposite"))
form_test = table_check(
    "form_test", "a judge who schematises passage and options finds that the key alone has the passage's form",
    lambda row, _: bool(row["verdict"] == "same"))
entailment_test = table_check(
    "entailment_test", "a judge finds that the key alone follows, is excluded, or (EXCEPT) does not follow", _standing)
