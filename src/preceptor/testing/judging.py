"""The simulated judge and the simulated weak model: the one sees the key through the oracle, the other does not know."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from preceptor.flows.shapes import LETTERS
from preceptor.testing.answers import right_final
from preceptor.testing.invent import Source, clipped, invented
from preceptor.types import Agent, Instruction, Request

TABLES: Mapping[str, tuple[str, str]] = {
    "negation_test": ("falls", "stands"),
    "variance_test": ("opposite", "alike"),
    "form_test": ("same", "different"),
}
"""For each test that has a judge fill in a table: what it says of the key, and of the other options."""


def judged(
    agent: Agent, request: Request, instruction: Instruction | None, source: Source, place: Sequence[Any]
) -> dict[str, Any]:
    """Fields of a judge that finds everything as it should be, with quotations that stand there."""
    fields = invented(agent.fields, source, place)
    file = agent.name.rpartition("/")[2]
    if "findings" in fields:
        fields["findings"] = list(_findings(request, source))
        fields.pop("hint", None)
    elif "rows" in fields and instruction is not None and instruction.gold is not None:
        fields["rows"] = list(_rows(file, fields["rows"][0], instruction, source))
        fields |= {name: source.quote(place, 200) for name in ("quote",) if name in fields}
    elif file == "second_reader" and instruction is not None:
        fields |= {"unclear": "one answer", "answer": _read(request, instruction)}
    elif file == "ways_to_answer":
        fields["replies"] = [{**fields["replies"][0], "reply": said, "standing": "possible"} for said in ("one", "two")]
    for field in agent.fields:
        if field.type == "choice" and "yes" in field.choices:
            fields[field.name] = "yes"
        if field.name == "quote" and field.type == "text":
            fields["quote"] = source.quote(place, int(field.max or 400))
        if field.name == "better" and "neither" in field.choices:
            fields["better"] = "neither"
    return fields


def _findings(request: Request, source: Source) -> Iterator[dict[str, Any]]:
    said = Source(str(request.slots.get("answer") or source.text))
    for number in range(1, max(1, len(request.slots.get("points") or ())) + 1):
        yield {"point": number, "quote": said.quote(("point", number), 200), "reason": "It is there.", "verdict": "yes"}


def _rows(file: str, like: Mapping[str, Any], instruction: Instruction, source: Source) -> Iterator[dict[str, Any]]:
    key = str(instruction.gold.value) if instruction.gold else ""
    for n, letter in enumerate(LETTERS[: len(instruction.options)]):
        hit = (letter == key) != (instruction.kind == "except_not")
        row = {**like, "letter": letter}
        for name in [k for k in row if k == "quote" or k.endswith("_quote")]:
            row[name] = source.quote(("row", n, name), 200)
        if file in TABLES:
            row["verdict"] = TABLES[file][0] if hit else TABLES[file][1]
        elif file == "entailment_test":
            right = "excluded" if instruction.kind == "cannot_be_true" else "follows"
            row["verdict"] = right if hit else "open"
        elif file == "agreement_test":
            row["first"] = "affirms" if hit else "silent"
            row["second"] = ("affirms" if instruction.data.get("wanted") == "shared" else "denies") if hit else "silent"
        yield row


def _read(request: Request, instruction: Instruction) -> str:
    """What is right for the passage that the reader was shown, which may be that of an earlier instruction."""
    shown, at = request.slots.get("passage"), instruction
    while at.parent is not None and at.material.text != shown:
        at = at.parent
    if at.options and at.gold is not None:
        right = at.options[LETTERS.index(str(at.gold.value))].text
        for entry in request.slots.get("options") or ():
            if entry["text"] == right:
                return str(entry["letter"])
    return clipped(right_final(at), 400)


def guessed(agent: Agent, place: Sequence[Any]) -> dict[str, Any]:
    """Fields of a model that does not know and says so. It is asked the same of a row and of its twin: no oracle here."""
    fields = invented(agent.fields, Source("I would not know what to say to that."), place)
    return {**fields, **{name: "I cannot tell" for name in ("answer", "final") if name in fields}}
