"""The gates: each deciding check of each real kind must tell good rows from rows with one thing wrong.

Rows come from four places: the kind put on the bench with the simulated teacher, golden rows of the pack where there are
some, the mutators' work on both, and rows made by hand in the pack's `gates/*.jsonl`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preceptor import corpus
from preceptor.engine.nodes import from_json
from preceptor.flows.verify import accepts, check_of
from preceptor.skill import Kind, Skill, built_in, load_skill
from preceptor.testing.bench import Bench, bench_of, decided, mutated, rows_of_kind, spoilt
from preceptor.testing.golden import golden_rows, lines_of
from preceptor.testing.mutators import MUTATORS
from preceptor.testing.packs import deciding, judges
from preceptor.types import Document, Example, Gold, Instruction, Material, Tool

ENOUGH = 5
"""Good rows and broken rows that each deciding check has to tell apart."""


@dataclass(slots=True)
class Gate:
    """One deciding check of one kind: what it said of good rows and of broken ones."""

    skill: str
    kind: str
    check: str
    good: int = 0
    passed: int = 0
    broken: int = 0
    caught: int = 0
    told: list[str] = field(default_factory=list)
    """Good rows that were rejected and broken ones that were not, a line each."""

    @property
    def holds(self) -> bool:
        return self.good >= ENOUGH and self.broken >= ENOUGH and self.passed == self.good and self.caught == self.broken


@dataclass(slots=True)
class Table:
    """All gates, and what could not be judged here."""

    gates: list[Gate] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    """Kinds that only a judge decides: reached, not decided."""
    unreached: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.unreached and all(gate.holds for gate in self.gates)


def gates(
    skills: Sequence[str] = (),
    kinds: Sequence[str] = (),
    *,
    documents: Sequence[Document] | None = None,
    want: int = 6,
    passes: int = 4,
    tell: Callable[[Gate], None] = lambda _: None,
) -> Table:
    """The table of gates for all real kinds of the skills (default: all in the box)."""
    table = Table()
    held = list(documents) if documents is not None else default_documents()
    for name in skills or built_in():
        skill = load_skill(name)
        real = [k for k in skill.kinds if k.tier == "real" and (not kinds or k.name in kinds)]
        asyncio.run(_gates(skill, real, held, table, want, passes, tell))
    return table


async def _gates(
    skill: Skill,
    kinds: Iterable[Kind],
    documents: Sequence[Document],
    table: Table,
    want: int,
    passes: int,
    tell: Callable[[Gate], None],
) -> None:
    golden: dict[str, list[Example]] = defaultdict(list)
    for row in await asyncio.to_thread(golden_rows, skill.path):
        golden[row.instruction.kind].append(row)
    by_hand: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in hand_made(skill):
        by_hand[str(line["kind"])].append(line)
    async with bench_of(skill, documents) as tools:
        for kind in kinds:
            names = [check.name for check in deciding(kind, skill)]
            if not names:
                table.judged.append(f"{skill.name}/{kind.name}: reached, not decided ({_judges(kind, skill)})")
                continue
            bench = await rows_of_kind(kind, skill, documents, tools, want=want, passes=passes)
            if not bench.right and not golden[kind.name] and not by_hand[kind.name]:
                table.unreached[f"{skill.name}/{kind.name}"] = _why(bench)
            made = await _of_kind(kind, skill, names, bench, golden[kind.name], by_hand[kind.name], tools)
            if any(gate.good >= ENOUGH > gate.broken for gate in made):  # some rows do not take the fault: more of them
                bench = await rows_of_kind(kind, skill, documents, tools, want=2 * want, passes=passes)
                made = await _of_kind(kind, skill, names, bench, golden[kind.name], by_hand[kind.name], tools)
            if any(0 < gate.good < ENOUGH for gate in made):  # golden rows were refined, the bench's were not: make such too
                untold = await rows_of_kind(kind, skill, documents, tools, want=2 * want, passes=2 * passes, untold=True)
                bench.right += untold.right
                bench.wrong += untold.wrong
                made = await _of_kind(kind, skill, names, bench, golden[kind.name], by_hand[kind.name], tools)
            table.gates += made
            for gate in made:
                tell(gate)


def _judges(kind: Kind, skill: Skill) -> str:
    return ", ".join(check.name for check in judges(kind, skill)) or "a judge"


def _why(bench: Bench) -> str:
    reasons = [d.reason for d in bench.dropped]
    return max(set(reasons), key=reasons.count)[:300] if reasons else "no document led to it"


async def _of_kind(
    kind: Kind,
    skill: Skill,
    names: Sequence[str],
    bench: Bench,
    golden: Sequence[Example],
    by_hand: Sequence[Mapping[str, Any]],
    tools: Sequence[Tool],
) -> list[Gate]:
    """One gate for each deciding check that has a say in this kind."""
    found = {name: Gate(skill.name, kind.name, name) for name in names}
    right = [*(e for e in bench.right), *golden]
    for example in right:
        for verdict in await decided(example, names, skill, tools):
            _good(found[verdict.check], verdict.outcome, f"{example.id}: {verdict.evidence}")
    wrong = list(bench.wrong)
    for example in golden:
        if accepts(example.verdicts):
            spoiled = [w for name in MUTATORS if (w := await spoilt(example, name, kind, skill, tools))]
            wrong += [w for w in spoiled if not spelled_right(w.example)]
    for broken in wrong:
        said = {v.check: v for v in broken.verdicts}
        catchers = [name for name in broken.expected if said[name].outcome == "fail"]
        for name in broken.expected:
            if said[name].outcome != "na" and (not catchers or name in catchers):
                line = f"{broken.mutator}: {str(broken.example.fields.get('final', broken.example.answer))[:160]}"
                _broken(found[name], said[name].outcome, line)
    for row in by_hand:
        example = row_by_hand(row, skill)
        for verdict in await decided(example, [row["check"]] if "check" in row else names, skill, tools):
            if verdict.outcome != "na" and verdict.check in found:
                (_good if row["good"] else _broken)(found[verdict.check], verdict.outcome, f"by hand: {row['final']}")
    # A check that had a say in one broken golden row alone is not this kind's: what it decides is tried where it is.
    gates = [g for g in found.values() if g.good or g.broken >= ENOUGH or g.check in kind.checks]
    return gates + await _by_another_route(kind, skill, names, right, tools)


def spelled_right(example: Example) -> bool:
    """Whether a change for the worse hit another spelling of the right answer, which the gold itself lists."""
    gold = example.instruction.gold
    said = " ".join(str(example.fields.get("final", example.answer)).casefold().split())
    return gold is not None and said in {" ".join(text.casefold().split()) for text in gold.accepts}


OTHER_ROUTE = "(wrong gold)"
"""The row of the table that tells whether a computed gold that is wrong is found out by something else than itself."""
BY_GOLD = ("gold_edit", "gold_text", "gold_number", "gold_set", "gold_order", "gold_pairs", "gold_label", "option_key")


async def _by_another_route(
    kind: Kind, skill: Skill, names: Sequence[str], right: Sequence[Example], tools: Sequence[Tool]
) -> list[Gate]:
    """A computed gold made wrong, and answered as it stands: a check that is not the builder's has to object."""
    gate = Gate(skill.name, kind.name, OTHER_ROUTE)
    others = [n for n in (*kind.checks, *skill.of("instruct", "checks")) if n not in BY_GOLD and not check_of(n, skill).needs]
    for example in right:
        gold = example.instruction.gold
        if gold is None or gold.made_by != "computed" or gold.form == "state":
            continue
        verdicts = await decided(example, others, skill, tools)
        _good(gate, "fail" if any(v.outcome == "fail" for v in verdicts) else "pass", f"{example.id}: its own gold")
        for name in ("number", "entity", "order"):
            broken = mutated(example, name, skill)
            if broken is None:
                continue
            wrong = broken.fields["final"]
            value = float(wrong) if gold.form == "number" else wrong
            row = replace(broken, instruction=replace(example.instruction, gold=replace(gold, value=value)))
            verdicts = await decided(row, others, skill, tools)
            _broken(gate, "fail" if any(v.outcome == "fail" for v in verdicts) else "pass", f"{name}: {str(wrong)[:120]}")
    return [gate] if gate.broken else []


def _good(gate: Gate, outcome: str, line: str) -> None:
    if outcome == "na":
        return
    gate.good += 1
    gate.passed += outcome == "pass"
    if outcome == "fail":
        gate.told.append(f"good, rejected: {line}"[:400])


def _broken(gate: Gate, outcome: str, line: str) -> None:
    gate.broken += 1
    gate.caught += outcome == "fail"
    if outcome != "fail":
        gate.told.append(f"broken, let pass: {line}"[:400])


# ── rows made by hand ────────────────────────────────────────────────────────────────────────────────────────────


def hand_made(skill: Skill) -> list[dict[str, Any]]:
    """The lines of the pack's `gates/*.jsonl` that a check is to judge."""
    files = sorted((skill.path / "gates").glob("*.jsonl"))
    return [line for file in files if not file.stem.startswith("rubric") for line in lines_of(file)]


def row_by_hand(line: Mapping[str, Any], skill: Skill) -> Example:
    """The row of a hand-made line: text, question, gold, final and answer; or a stored instruction in full."""
    kind = skill.kind(str(line["kind"]))
    language = str(line.get("language", "en"))
    document = Document("by-hand", str(line["text"]), "gates", language=language)
    material = Material(document, str(line.get("genre", "identity")), document.text, line.get("plan", {}), language=language)
    gold = line.get("gold") or {}
    instruction: Instruction = from_json(
        Instruction,
        _json(
            {
                "kind": kind.name,
                "text": line["question"],
                "shape": kind.shape,
                "options": line.get("options", []),
                "answerability": line.get("answerability", "answerable"),
                "data": {**kind.data, **line.get("data", {})},
                "made_by": "by hand",
            }
        ),
        material,
    )
    if gold:
        instruction = replace(
            instruction,
            gold=Gold(
                gold["form"],
                gold.get("value"),
                tuple(gold.get("evidence", ())),
                tuple(gold.get("accepts", ())),
                gold.get("made_by", "agent"),
            ),
        )
    final = line["final"] if isinstance(line["final"], str) else _json(line["final"])
    answer = str(line.get("answer", final))
    return Example(
        instruction,
        answer,
        ({"role": "user", "content": str(line["question"])}, {"role": "assistant", "content": answer}),
        {"final": final, "answer": answer},
    )


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def default_documents() -> list[Document]:
    """The project's own example documents, from the clone or from the installed package, and tables of the kit's own."""
    here = Path(__file__).parent.parent
    own = Path(__file__).parent / "documents"
    folder = next((f for f in (here.parent.parent / "examples" / "documents", here / "demo") if f.is_dir()), own)
    return [d for f in dict.fromkeys((folder, own)) for d in corpus.read([f], root=f).documents]
