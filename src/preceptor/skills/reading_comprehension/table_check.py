"""A second way to the answer of a table question: from the question's own words and the table, without the builder's gold."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.figures import numbers_in
from preceptor.checks.finals import listed, said_text, same_text
from preceptor.checks.form import records
from preceptor.checks.options import LETTERS, credited
from preceptor.types import Ask, Example, Instruction, Verdict

KINDS = ("table_lookup", "table_superlative", "table_difference", "table_rows", "table_compare", "table_claim")
Rows = Sequence[Mapping[str, str]]


@check(
    decides=True,
    version=1,
    sees="the table, read anew from what the question names, gives this answer",
    blind="a question that names one column and means another; questions that were refined",
)
async def table_gives_it(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    rows = records(instruction.material.text)
    if instruction.kind not in KINDS or instruction.goal or not rows:
        return not_applicable("no built question on a table")
    language = instruction.material.language or "en"
    right = _read(instruction, rows, language)
    if right is None:
        return failed("what the question names is not in the table")
    said = _said(example, language)
    same = said == right if isinstance(right, Fraction | frozenset) else same_text(str(said), right, language)
    return (
        passed(f"the table gives {right}")
        if same
        else failed(
            f"{said} is not what the table gives, {right}", hint="Look up the cells once more; the table says otherwise."
        )
    )


def _read(instruction: Instruction, rows: Rows, language: str) -> str | Fraction | frozenset[str] | None:
    """What the table gives for the names, column and bound that stand in the question."""
    data = instruction.data
    column = next((c for c in rows[0] if c.replace("_", " ").strip() == data["column"]), None)
    names = [next(iter(row.values())) for row in rows]
    if column is None:
        return None
    cells = dict(zip(names, (row[column] for row in rows), strict=True))
    if instruction.kind == "table_lookup":
        return cells.get(str(data["name"]))
    values = {n: found[0] for n, cell in cells.items() if len(found := numbers_in(cell, language)) == 1}
    if instruction.kind == "table_difference":
        return abs(values[data["first"]] - values[data["second"]]) if {data["first"], data["second"]} <= set(values) else None
    if instruction.kind == "table_claim":
        both = {data["first"], data["second"]} <= set(values)
        return str(values[data["first"]] > values[data["second"]]).lower() if both else None
    if instruction.kind == "table_rows":
        bound = numbers_in(str(data["bound"]), language)[0]
        return frozenset(n for n, v in values.items() if v > bound)
    shown = [n for n in ([o.text for o in instruction.options] or data.get("labels", ())) if n in values]
    if not shown:
        return None
    return (max if data["which"] in ("largest", "more") else min)(shown, key=lambda n: values[n])


def _said(example: Example, language: str) -> str | Fraction | frozenset[str]:
    """What the answer says, in the form that the table's answer has."""
    instruction, text = example.instruction, said_text(example)
    match instruction.kind:
        case "table_difference":
            found = numbers_in(text, language)
            return found[0] if len(found) == 1 else text
        case "table_rows":
            return frozenset(listed(example, list(instruction.gold.value) if instruction.gold else []) or ())
        case "table_superlative":
            letter = credited(example.fields.get("final", ""), instruction.options)
            return instruction.options[LETTERS.index(letter)].text if letter else text
    return text
