"""Golden rows: a real run of a pack, recorded with its replies, and replayed to see whether prompts still ask the same.

    golden/documents.jsonl  what the run was made of            golden/replies.jsonl    every reply, by digest of its request
    golden/recipe.toml      how                                 golden/uses.jsonl       every tool result, by digest of its use
                                                                golden/rows.jsonl       the rows that came of it

Record with `python -m preceptor.testing record RUN PACK`. An edited prompt makes another request, which the record does
not hold: the golden rows are stale, and the agent that asks otherwise is named.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest
from preceptor.engine.ask import body_of, completion_of
from preceptor.engine.journal import pack, reader, unpack
from preceptor.engine.nodes import from_json
from preceptor.errors import MissingExtra, PackError, ReplyError, ToolError
from preceptor.factory import Run
from preceptor.recipe import ROLES, Recipe, load_recipe
from preceptor.skill import find_skill
from preceptor.testing.runs import run_with
from preceptor.types import Completion, Document, Example, Model, Request, Tool

RECORDED = ("digest", "agent", "said")


class Recorded:
    """`types.Model` out of a record: each request is answered with what was said to it, or not at all."""

    def __init__(self, file: Path) -> None:
        self.name = "recorded"
        self.price = None
        self.held = {line["digest"]: line for line in lines_of(file)}
        self.asked: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        """Requests that the record does not hold, by agent."""

    async def complete(self, request: Request) -> Completion:
        key = digest(body_of(request))
        if key not in self.held:
            self.unknown[request.agent] += 1
            raise ReplyError(f"golden rows are stale: the record has no reply to this request of {request.agent}")
        self.asked[key] += 1
        return completion_of(pack(self.held[key]["said"]))

    async def close(self) -> None:
        return None


class RecordedTool:
    """A tool that answers from the record, and does the work only where the record has nothing."""

    def __init__(self, tool: Tool, held: Mapping[str, Mapping[str, Any]]) -> None:
        self.name, self.version, self.declaration = tool.name, tool.version, tool.declaration
        self._tool, self._held = tool, held

    async def __call__(self, **arguments: Any) -> Any:
        line = self._held.get(use_digest(self.name, pack(dict(sorted(arguments.items())))))
        if line is None:
            return await self._tool(**arguments)
        if line.get("error") is not None:
            raise ToolError(str(line["error"]))
        return line["result"]


def use_digest(tool: str, arguments: str) -> str:
    """Stands for a use of a tool. Its version is left out: a search keeps its recorded result when the corpus moves."""
    return digest("use", tool, arguments)


@dataclass(frozen=True)
class Replay:
    """A golden run, done again from its record."""

    run: Run
    unknown: Mapping[str, int]
    """Requests that the record does not hold, by agent."""
    unasked: Mapping[str, int]
    """Recorded replies that nothing asked for, by agent."""
    changed: tuple[str, ...]
    """Rows that are not as recorded, each in a line."""


def golden_of(pack_name: str | Path) -> Path:
    """The pack's golden folder."""
    return find_skill(pack_name) / "golden"


def lines_of(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; nothing where there is none."""
    if file.is_file():
        yield from (orjson.loads(line) for line in file.read_bytes().splitlines() if line.strip())


def record(run_folder: str | Path, pack_name: str | Path) -> dict[str, int]:
    """Replies, tool results and rows of a finished run stand in the pack's golden folder. Returns how many of each."""
    golden, found = golden_of(pack_name), Path(run_folder)
    if not (found / "run.db").is_file():
        raise PackError(f"{found} is no run folder; `preceptor run {golden}/recipe.toml --into {found}` makes one")
    replies: dict[str, dict[str, Any]] = {}
    with reader(found) as db:
        read = [
            from_json(Document, body) for (body,) in db.execute("SELECT body FROM nodes WHERE type = 'document' ORDER BY rowid")
        ]
        bare = _without([d.source for d in read])
        documents = [replace(d, source=Path(d.source).name) for d in read]
        for agent, body, completion in db.execute(
            "SELECT agent, request, completion FROM calls WHERE completion IS NOT NULL ORDER BY item, started"
        ):
            line = {"digest": digest(bare(body)), "agent": agent, "said": _lasting(unpack(bare(completion)))}
            replies.setdefault(str(line["digest"]), line)
        uses = {}
        for tool, arguments, result, error in db.execute("SELECT tool, arguments, result, error FROM uses ORDER BY item, key"):
            key = use_digest(tool, bare(arguments))
            uses[key] = {
                "digest": key,
                "tool": tool,
                "result": None if result is None else unpack(bare(result)),
                "error": error,
            }
    rows = rows_of(Run(found))
    golden.mkdir(exist_ok=True)
    for name, held in (
        ("documents", map(asdict, documents)),
        ("replies", replies.values()),
        ("uses", uses.values()),
        ("rows", rows),
    ):
        text = b"".join(orjson.dumps(line) + b"\n" for line in held)
        (golden / f"{name}.jsonl").write_bytes(text)
    return {"replies": len(replies), "uses": len(uses), "rows": len(rows)}


def _without(sources: Sequence[str]) -> Callable[[str], str]:
    """Text without the folders that documents were read from: whoever replays it has others."""
    folders = sorted({source.rpartition("/")[0] + "/" for source in sources if "/" in source}, key=len, reverse=True)

    def bare(text: str) -> str:
        for folder in folders:
            text = text.replace(folder, "")
        return text

    return bare


def documents_of(golden: Path) -> list[Document]:
    """The documents of the recorded run, as they were read then."""
    return [from_json(Document, pack(line)) for line in lines_of(golden / "documents.jsonl")]


def _lasting(completion: dict[str, Any]) -> dict[str, Any]:
    """What was said, without how long it took."""
    return {k: v for k, v in completion.items() if k not in ("seconds", "means") and v not in ("", [], 0, None)} | {
        "content": completion["content"],
        "calls": completion.get("calls", []),
    }


def rows_of(run: Run) -> list[dict[str, Any]]:
    """Each row in a few fields: what a replay must reproduce."""
    made = []
    for status in ("accepted", "rejected", "surplus"):
        for example in run.examples(status):
            verdicts = {v.check: v.outcome for v in example.verdicts if v.outcome != "na"}
            made.append(
                {
                    "id": example.id,
                    "kind": example.instruction.kind,
                    "genre": example.instruction.material.genre,
                    "goal": example.instruction.goal,
                    "status": status,
                    "answered_by": example.answered_by,
                    "final": example.fields.get("final", example.answer),
                    "verdicts": verdicts,
                }
            )
    return sorted(made, key=lambda row: str(row["id"]))


def replay_golden(pack_name: str | Path, into: Path | None = None) -> Replay:
    """The pack's recorded run, made again from its record: no model, no network, and no sandbox where results are recorded."""
    golden = golden_of(pack_name)
    if not (golden / "recipe.toml").is_file() or not (golden / "replies.jsonl").is_file():
        raise PackError(
            f"{golden} holds no recorded run: it needs documents.jsonl, recipe.toml and replies.jsonl "
            "(`python -m preceptor.testing record RUN PACK`)"
        )
    model = Recorded(golden / "replies.jsonl")
    uses = {line["digest"]: line for line in lines_of(golden / "uses.jsonl")}
    recipe = load_recipe(golden / "recipe.toml")
    with tempfile.TemporaryDirectory(prefix="preceptor-golden-") as away:
        run = run_with(
            recipe,
            into or Path(away),
            roles_of(recipe, model),
            documents=documents_of(golden),
            wrap=lambda tool: RecordedTool(tool, uses),
        )
        rows = {row["id"]: row for row in rows_of(run)}
        report = Run(run.folder, run.ended)
        _ = report.report  # counted while the folder is there
    unasked = Counter(line["agent"] for key, line in model.held.items() if key not in model.asked)
    return Replay(report, model.unknown, unasked, tuple(_changed(rows, golden / "rows.jsonl")))


def roles_of(recipe: Recipe, model: Model) -> dict[str, Model]:
    """The model in every role that the recipe fills; the teacher always."""
    return {role: model for role in ROLES if role == "teacher" or getattr(recipe, role) is not None}


def _changed(now: Mapping[str, Mapping[str, Any]], file: Path) -> Iterator[str]:
    before = {row["id"]: row for row in lines_of(file)}
    for key, row in before.items():
        if key not in now:
            yield f"row {key} ({row['kind']}, {row['status']}) is not made any more"
        elif now[key]["status"] != row["status"]:
            failed = [c for c, outcome in now[key]["verdicts"].items() if outcome == "fail"]
            yield f"row {key} ({row['kind']}) was {row['status']}, is {now[key]['status']}" + (
                f": {', '.join(failed)}" if failed else ""
            )
    for key in sorted(set(now) - set(before)):
        yield f"row {key} ({now[key]['kind']}, {now[key]['status']}) was not recorded"


def stale(pack_name: str | Path) -> list[str]:
    """What today's prompts, checks and flows make of the golden record otherwise than was recorded; empty if nothing."""
    golden = golden_of(pack_name)
    if not recorded(golden):
        return []
    try:
        again = replay_golden(pack_name)
    except MissingExtra as missing:
        return [f"{golden}: cannot be replayed here: {missing}"]
    found = [
        f"{golden}: stale: {agent} asks {count} things that the record does not answer; answer them anew"
        for agent, count in sorted(again.unknown.items())
    ]
    if not found:
        found += [
            f"{golden}: stale: {count} recorded replies of {agent} are not asked for any more; record anew"
            for agent, count in sorted(again.unasked.items())
        ]
    return found + ([f"{golden}: {line}" for line in again.changed[:12]] if not found else [])


def recorded(golden: Path) -> bool:
    """Whether the folder holds a recorded run (a script of replies to try a new pack with is none)."""
    if not (golden / "recipe.toml").is_file() or not (golden / "replies.jsonl").is_file():
        return False
    with suppress(orjson.JSONDecodeError, StopIteration):
        return set(RECORDED) <= set(next(lines_of(golden / "replies.jsonl")))
    return False


def golden_rows(pack_name: str | Path, status: str = "accepted") -> list[Example]:
    """The rows of a pack's golden run, with their whole lineage; none where nothing is recorded."""
    if not recorded(golden_of(pack_name)):
        return []
    with tempfile.TemporaryDirectory(prefix="preceptor-golden-") as away:
        again = replay_golden(pack_name, Path(away))
        return again.run.examples(status)
