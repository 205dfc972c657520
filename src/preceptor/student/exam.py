"""Held-out items: documents that no training row saw, words and layouts of their own, and an answer that code can check.

run ─▶ held-out documents ─▶ accepted rows in the exam's words ─╮
                          ╰▶ tasks that builders make ──────────┼▶ leaks? ─▶ exam.jsonl
training documents ───────▶ a few solved tasks, to show ────────╯
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest, draw, shuffled
from preceptor.engine.nodes import from_json, to_json
from preceptor.errors import StepError, UserError
from preceptor.files import whole
from preceptor.flows.verify import check_of
from preceptor.skill import Kind, Skill, fits, load_skill
from preceptor.student import gold
from preceptor.student.rows import (
    Row,
    call_of,
    chat,
    file_of,
    held_out,
    opening_for,
    row_of,
    training_rows,
)
from preceptor.student.sheets import sheets
from preceptor.types import Document, Example, Instruction, Material, Style

ROUNDS = 3
"""Turns over the held-out documents, as long as there are too few items."""
SHOTS = 4
"""Solved tasks kept beside the exam for each kind."""
LENGTH = (165, 240)
"""Characters of a passage that an edit is asked of: longer ones make exams slow and say little more."""
PASSAGES = 24
"""Passages of one file at most, so that a book does not outweigh all else."""
CALLS = ("one_api_all_parameters", "one_api_superfluous_parameters", "several_apis_all_parameters", "dependent_chain")
"""Kinds of tool use whose next step is always a call."""
COMPOSED: Mapping[str, int] = {"two_edits": 3}
"""Kinds that are tried so many times as often: most pairs of edits hold a wording that is for exams alone."""
FORMS = ("text", "number", "option", "label", "set", "order", "edit")
"""Gold that a bare reply can be held against."""
RUN, NEAR, PART, LEAST = 8, 0.8, 4, 4
"""A shared run of eight words is a leak; so is an instruction of which four fifths (in runs of four words) stand in one
training row. An answer of fewer than four words (a letter, a label, a figure) says nothing and is not looked for."""


@dataclass(frozen=True, slots=True)
class Item:
    """One task of an exam, with what decides it."""

    id: str
    skill: str
    pack: str
    kind: str
    source: str
    messages: tuple[Mapping[str, str], ...]
    """What the student reads: system message to last user message."""
    answer: str
    passage: str
    instruction: str
    example: Mapping[str, Any] = field(default_factory=dict)
    """The row that the checks are run on, with its own answer put in."""
    call: Mapping[str, Any] = field(default_factory=dict)
    """The one right next call; empty where checks decide."""
    refined: bool = False
    shot: bool = False
    """Solved, from a training document: shown in the prompt, never asked."""

    @property
    def most(self) -> int:
        """Most tokens that a reply may have: the answer's own length in bytes by not quite three, and a margin."""
        return 8 + len(self.answer.encode()) * 5 // 14


@dataclass(frozen=True, slots=True)
class Exam:
    """Items to ask, solved ones to show, and why others were left out."""

    items: tuple[Item, ...]
    shots: tuple[Item, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return digest("exam", *(item.id for item in self.items))


# ── leaks ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Seen:
    """What training rows hold, in a form that items can be looked up in."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.sources: set[str] = set()
        self.runs: set[str] = set()
        self.whole: set[str] = set()
        self.parts: defaultdict[str, set[int]] = defaultdict(set)
        for number, row in enumerate(rows):
            self.sources.add(file_of(row.source))
            said = [row.passage, row.answer, *(str(m["content"]) for m in row.messages if m["role"] == "assistant")]
            for text in said:
                self.runs |= runs(body(text), RUN)
                self.whole |= {" ".join(words(line)) for line in (text, *text.splitlines())}
            for part in runs(row.instruction, PART):
                self.parts[part].add(number)
            self.whole.add(" ".join(words(row.instruction)))

    def leak(self, item: Item) -> str:
        """What of the item stands in a training row: document, passage, answer or instruction. Empty: nothing."""
        if file_of(item.source) in self.sources:
            return "document"
        for name, text in (("passage", item.passage), ("answer", item.answer)):
            if runs(body(text), RUN) & self.runs:
                return name
        if len(words(item.answer)) >= LEAST and " ".join(words(item.answer)) in self.whole:
            return "answer"
        return "instruction" if self.known(item.instruction) else ""

    def known(self, instruction: str) -> bool:
        """Whether one training row asks the same, or nearly."""
        parts = runs(instruction, PART)
        if not parts:
            return " ".join(words(instruction)) in self.whole
        counts = Counter(number for part in parts for number in self.parts.get(part, ()))
        return bool(counts) and counts.most_common(1)[0][1] >= NEAR * len(parts)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def body(text: str) -> str:
    """The text without the heads of tables, which name columns and nothing of the document."""
    return re.sub(r"(?m)^\|.*\|\n(?=\|(?: *:?-+:? *\|)+$)", "", text)


def runs(text: str, size: int) -> set[str]:
    found = words(text)
    return {" ".join(found[i : i + size]) for i in range(len(found) - size + 1)}


# ── items from examples ──────────────────────────────────────────────────────────────────────────────────────────


def item_of(example: Example, skill: Skill, *, shot: bool = False) -> Item:
    """The example as an item: its task in the exam's words, its gold as the answer."""
    instruction = replace(example.instruction, style=Style(format="bare", layout="exam"))
    answer = gold.said(instruction.gold) if instruction.gold else example.answer
    asked = tuple(opening_for(instruction))
    return Item(
        digest("item", skill.name, example.id, *(m["content"] for m in asked)),
        skill.name,
        str(skill.path),
        instruction.kind,
        instruction.material.document.source,
        asked,
        answer,
        instruction.material.text if instruction.shows_material else "",
        instruction.text,
        packed(replace(example, instruction=instruction)),
        refined=bool(instruction.goal) or instruction.kind == "two_edits",
        shot=shot,
    )


def next_call(example: Example, skill: Skill, at: int, *, shot: bool = False) -> Item | None:
    """The example's conversation up to the message before `at`, and the one call that comes next; None for several calls."""
    made: Sequence[Any] = example.messages[at - 1].get("tool_calls", ())
    if len(made) != 1:
        return None
    instruction, call = example.instruction, call_of(made[0])
    asked = tuple(chat(example.messages[: at - 1], instruction.tools))
    answer = orjson.dumps(call).decode()
    passage = "\n".join(str(m["content"]) for m in example.messages[: at - 1] if m["role"] == "tool")
    return Item(
        digest("item", skill.name, example.id, at),
        skill.name,
        str(skill.path),
        instruction.kind,
        instruction.material.document.source,
        asked,
        answer,
        passage,
        instruction.text,
        call=call,
        shot=shot,
    )


def packed(example: Example) -> dict[str, Any]:
    """The example with its lineage as JSON; the document's text stays behind, the passage is in the material."""
    instruction, material = example.instruction, example.instruction.material
    bare = replace(example, drafts=(), verdicts=(), messages=(), data={})
    return {
        "document": to_json(replace(material.document, text="")),
        "material": to_json(material),
        "instruction": to_json(instruction),
        "example": to_json(bare),
    }


def unpacked(held: Mapping[str, Any]) -> Example:
    """The example that `packed` was given."""
    document = from_json(Document, held["document"])
    material = from_json(Material, held["material"], document)
    example: Example = from_json(Example, held["example"], from_json(Instruction, held["instruction"], material))
    return example


# ── what code can ask of a document ──────────────────────────────────────────────────────────────────────────────


def passages(document: Document) -> list[str]:
    """The paragraphs of running text that are short enough to be edited whole."""
    pieces = [p.strip() for p in document.text.split("\n\n")]
    return [p for p in pieces if LENGTH[0] <= len(p) <= LENGTH[1] and re.match(r"[A-Z“\"]", p) and p.count(" ") > 15]


def grounds(source: str, pieces: Sequence[Document], seed: str, nouns: str) -> Iterator[tuple[str, Material]]:
    """What tasks can be built on: each passage (as prose) and each table of a file."""
    for piece in pieces:
        if piece.kind == "table":
            yield "table", Material(piece, "identity", piece.text)
    found = [(piece, text) for piece in pieces if piece.kind == "prose" for text in passages(piece)]
    for piece, text in draw(found, seed, "passages", source, k=PASSAGES, name=lambda p: p[1]):
        yield "prose", Material(piece, "identity", text)
    for sheet in sheets(source, pieces, seed, nouns=nouns):
        yield "table", Material(sheet, "identity", sheet.text)


def buildable(skill: Skill, kind_of_document: str) -> list[Kind]:
    """The kinds of the skill whose task and gold code makes from such a document as it stands."""
    return [
        kind
        for kind in skill.kinds
        if kind.tier == "real"
        and kind.gold == "computed"
        and kind.name in skill.builders
        and fits(kind.suits, "identity", kind_of_document)
        and (kind.shape == "edit") == (kind_of_document == "prose")
    ]


async def examples_by_code(
    skill: Skill,
    files: Mapping[str, Sequence[Document]],
    seed: str,
    *,
    exam: bool,
    kinds: Sequence[str] = (),
    rounds: int = 2,
) -> list[Example]:
    """Every task that code can make of these files in this skill, checked; in an order drawn by the seed.

    `rounds` is how many tasks of one kind are tried on one passage or table.
    """
    made: dict[str, Example] = {}
    nouns = "exam" if exam else "training"
    for source, pieces in sorted(files.items()):
        for sort, material in grounds(source, pieces, seed, nouns):
            if skill.name == "tool_use":
                found = await called(material, skill, seed, exam, kinds, rounds) if sort == "table" else []
            else:
                able = [k for k in buildable(skill, sort) if not kinds or k.name in kinds]
                turns = [(kind, n) for kind in able for n in range(rounds * COMPOSED.get(kind.name, 1))]
                tries = [gold.built(material, kind, skill, f"{seed}/{n}", exam=exam) for kind, n in turns]
                found = [e for e in [await t for t in tries] if e and not e.instruction.history]
            made |= {example.id: example for example in found}
    return [made[key] for key in shuffled(sorted(made), seed, "examples", skill.name)]


async def called(material: Material, skill: Skill, seed: str, exam: bool, kinds: Sequence[str], rounds: int) -> list[Example]:
    wanted = [k for k in skill.kinds if k.name in (kinds or CALLS) and k.data.get("build")]
    made: list[Example] = []
    known: dict[str, Any] = {}
    try:
        async with gold.library(material.document, skill, seed) as (library, door):
            for kind in wanted:
                for n in range(rounds):
                    example = await gold.called(library, door, kind, skill, f"{seed}/{n}", known, exam=exam)
                    made += [example] if example and gold.cuts(example) else []
    except StepError:
        return []
    return made


def items_of(example: Example, skill: Skill, *, shot: bool = False) -> list[Item]:
    """The items that an example gives: one, or one for each of its calls."""
    if example.instruction.tools:
        found = [next_call(example, skill, at, shot=shot) for at in gold.cuts(example)]
        return [item for item in found if item]
    if example.instruction.gold is None or example.instruction.gold.form not in FORMS:
        return []
    return [item_of(example, skill, shot=shot)]


def decided_by_code(kind: str, skill: Skill) -> bool:
    """Whether a kind has a check that code decides by."""
    found = next((k for k in skill.kinds if k.name == kind), None)
    return any(c.decides and not c.needs for c in (check_of(n, skill) for n in found.checks)) if found else False


# ── the exam of a run ────────────────────────────────────────────────────────────────────────────────────────────


def exam_of(run: Path, per_skill: int = 400, seed: int = 1) -> Exam:
    """The exam of a run: items from its held-out documents, and solved tasks from the others."""
    from preceptor.engine.store import Store
    from preceptor.export import skill_of

    rows = training_rows(run).rows
    store = Store(run)
    try:
        recipe, documents = store.meta("recipe") or {}, store.documents()
        stored = [s for s in store.examples("accepted") if held_out(s.node.instruction.material.document.source)]
    finally:
        store.close()
    skills = {Path(name).name: skill_of(Path(name).name, recipe) for name in recipe.get("skills", ())}
    own = {name: [s.node for s in stored if s.skill == name] for name in skills}
    exam = asyncio.run(composed(skills, by_file(documents), rows, own, per_skill, str(seed)))
    if not exam.items:
        aside = sorted({file_of(d.source) for d in documents if held_out(d.source)})
        raise UserError(
            f"no exam item can be made of {run}: its held-out documents are {', '.join(aside) or 'none'}; "
            "a run over more documents has more of them"
        )
    return exam


def by_file(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """The documents of each file."""
    found: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        found[file_of(document.source)].append(document)
    return dict(found)


async def composed(
    skills: Mapping[str, Skill],
    files: Mapping[str, Sequence[Document]],
    rows: Sequence[Row],
    own: Mapping[str, Sequence[Example]],
    per_skill: int,
    seed: str,
    kinds: Mapping[str, Sequence[str]] | None = None,
) -> Exam:
    """Items and shots of all skills: no item that leaks, kinds as even as they can be, `per_skill` at most."""
    aside = {name: pieces for name, pieces in files.items() if held_out(name)}
    taught = {name: pieces for name, pieces in files.items() if not held_out(name)}
    seen, left_out = Seen(rows), Counter[str]()
    items: list[Item] = []
    shots: list[Item] = []
    for name, skill in skills.items():
        only = (kinds or {}).get(name, ())
        made, clean = list(own.get(name, ())), dict[str, Item]()
        for turn in range(ROUNDS):
            made += await examples_by_code(skill, aside, f"{seed}/{turn}", exam=True, kinds=only, rounds=1)
            found = [i for e in made for i in items_of(e, skill) if i.call or decided_by_code(i.kind, skill)]
            clean = {i.id: i for i in found if not seen.leak(i)}
            if len(clean) >= per_skill:
                break
        left_out.update(why for i in {i.id: i for i in found}.values() if (why := seen.leak(i)))
        items += even(list(clean.values()), per_skill)
        solved = await examples_by_code(skill, some(taught, seed), f"{seed}/shots", exam=True, kinds=only, rounds=1)
        shots += even([i for e in solved for i in items_of(e, skill, shot=True)], 0, SHOTS)
    return Exam(tuple(items), tuple(shots), dict(left_out))


def some(files: Mapping[str, Sequence[Document]], seed: str, most: int = 6) -> dict[str, Sequence[Document]]:
    """A few of the files."""
    return {name: files[name] for name in draw(sorted(files), seed, "files", k=most)}


def even(items: Sequence[Item], most: int, each: int = 0) -> list[Item]:
    """Up to `most` items (or `each` of a kind), one kind after the other in turn."""
    kinds: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        kinds[item.kind].append(item)
    rounds = max((len(found) for found in kinds.values()), default=0)
    turns = [found[n] for n in range(min(rounds, each or rounds)) for found in kinds.values() if n < len(found)]
    return turns[:most] if most else turns


# ── on disk ──────────────────────────────────────────────────────────────────────────────────────────────────────


def write_exam(exam: Exam, file: Path) -> None:
    """The exam as JSON lines: items, then shots."""
    whole(file, b"".join(orjson.dumps(item) + b"\n" for item in (*exam.items, *exam.shots)))


def read_exam(file: Path) -> Exam:
    """The exam in a file, or in a run's folder. Raises UserError where it is none."""
    file = file / "exam.jsonl" if file.is_dir() else file
    try:
        lines = [orjson.loads(line) for line in file.read_bytes().splitlines() if line.strip()]
        found = [Item(**{**line, "messages": tuple(line["messages"])}) for line in lines]
    except OSError:
        raise UserError(f"no exam at {file}; make one: preceptor exam RUN") from None
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise UserError(f"{file} is no exam: {error}; make one: preceptor exam RUN") from None
    return Exam(tuple(i for i in found if not i.shot), tuple(i for i in found if i.shot))


def skill_named(item: Item) -> Skill:
    """The pack that the item was made with."""
    path = Path(item.pack)
    return load_skill(str(path)) if path.is_dir() else load_skill(item.skill)


def row_up_to_calls(example: Example, skill: str) -> Row:
    """A tool conversation as a training row that ends in its last call."""
    ends = gold.cuts(example)
    return row_of(replace(example, messages=example.messages[: ends[-1]]) if ends else example, skill)
