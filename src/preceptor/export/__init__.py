"""A run as a dataset: rows, preference pairs, everything thrown away with its reason, and a card that says it all."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from preceptor.engine.fsck import intact
from preceptor.engine.report import quotas
from preceptor.engine.store import STATUSES, Store, Stored
from preceptor.errors import DamagedRun, MissingExtra
from preceptor.export.files import write_jsonl, write_parquet
from preceptor.export.place import MANIFEST, place
from preceptor.export.preference import pairs_of
from preceptor.export.rows import Reasoning, row_of
from preceptor.export.tokens import counter
from preceptor.files import staged
from preceptor.prompts import fill
from preceptor.skill import Skill, load_skill
from preceptor.types import Example

CARD = Path(__file__).with_name("card.md")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    folder: Path
    rows: int
    pairs: int
    rejected: int
    dropped: int
    files: tuple[str, ...]


def export(
    run: Path, into: Path | None = None, *, reasoning: Reasoning = "drop", tokenizer: str = "", actions: bool = False
) -> Exported:
    """Write the run's accepted rows and all beside them into a folder (default: `dataset` in the run's own).

    With `actions`, rows with tools are written in the ACTION form that their skill defines, as text without tool calls.
    A pure function of what the run holds: exported twice, the files are the same. The folder goes from the older dataset to
    the new one in one step. Raises DamagedRun where what is stored is not what was written; nothing is exported then.
    """
    folder = into or run / "dataset"
    made: dict[str, Sequence[Any]] = {}
    store = Store(run)
    try:
        with store.instant():
            place(folder, lambda aside: _written(store, aside, reasoning, tokenizer, actions, made))
    finally:
        store.close()
    names = tuple(dict.fromkeys((*made, MANIFEST)))
    rows, pairs, rejected, dropped = (len(made[f"{n}.jsonl"]) for n in ("rows", "preference", "rejected", "dropped"))
    return Exported(folder, rows, pairs, rejected, dropped, names)


def _held(store: Store) -> tuple[list[Stored], list[Stored]]:
    """All examples and all drops, none of them changed by a disk, and none left out by a broken index."""
    counted = intact(store)
    try:
        held, dropped = list(store.examples()), list(store.dropped())
    except (KeyError, sqlite3.DatabaseError) as error:  # an index that leads nowhere, or to a page that is none
        raise _damaged(store, f"{error} cannot be found") from error
    read = Counter(s.node.status for s in held) + Counter({"dropped": len(dropped)})
    if any(counted.get(name, 0) != read[name] for name in (*STATUSES, "dropped")):
        raise _damaged(store, f"of {sum(counted.values())} rows an index leaves some out")
    return held, dropped


def _damaged(store: Store, what: str) -> DamagedRun:
    return DamagedRun(
        f"{store.folder} is damaged: {what}. Nothing of it is written. "
        f"`preceptor fsck {store.folder}` says what is wrong, and what to do"
    )


def _written(
    store: Store, folder: Path, reasoning: Reasoning, tokenizer: str, actions: bool, made: dict[str, Sequence[Any]]
) -> dict[str, int | None]:
    """Every file of the dataset, in a folder that is empty; the rows of each also go into `made`, by the file's name."""
    held, lost = _held(store)
    named, count = counter(tokenizer)
    recipe = store.meta("recipe") or {}
    rows = {
        status: [_row(s, recipe, reasoning, count, actions) for s in held if s.node.status == status]
        for status in ("accepted", "rejected", "surplus")
    }
    pairs = list(pairs_of((s.node, s.skill) for s in held if s.node.status == "accepted"))
    dropped = [
        {
            "step": s.node.step,
            "reason": s.node.reason,
            "skill": s.skill,
            "kind": s.node.kind,
            "agent": s.node.agent,
            "source": _source(s),
            "id": s.key,
        }
        for s in lost
    ]
    for name, kept in (("rows", rows["accepted"]), ("preference", pairs)):
        made[write_jsonl(kept, folder / f"{name}.jsonl").name] = kept
        try:
            made[write_parquet(kept, folder / f"{name}.parquet").name] = kept
        except MissingExtra:
            continue
    for name, beside in (("rejected", rows["rejected"]), ("surplus", rows["surplus"]), ("dropped", dropped)):
        made[write_jsonl(beside, folder / f"{name}.jsonl").name] = beside
    tables = {name: len(kept) for name, kept in made.items()}
    best = {Path(n).stem: n for n in sorted(made) if Path(n).stem in ("rows", "preference")}  # Parquet, where it is there
    card = card_of(store, held, rows["accepted"], pairs, best, tokenizer=named, reasoning=reasoning)
    staged(folder / "README.md", card)
    made["README.md"] = ()
    return {**tables, "README.md": None}


def skill_of(name: str, recipe: Mapping[str, Any]) -> Skill:
    """The pack of that name as the run's recipe found it: in the box, or in a folder of the user's."""
    written = next((w for w in recipe.get("skills", ()) if Path(w).name == name), name)
    return load_skill(written, Path(recipe.get("root", ".")))


def _row(stored: Stored, recipe: Mapping[str, Any], reasoning: Reasoning, count: Any, actions: bool) -> dict[str, Any]:
    row = row_of(stored.node, stored.skill, stored.item, reasoning=reasoning)
    if actions and row["tools"]:
        row |= {"messages": skill_of(stored.skill, recipe).in_actions(stored.node), "tools": []}
    row["tokens"] = sum(count(str(m.get("content") or "")) for m in row["messages"])
    return row


def _source(stored: Stored) -> str:
    node = stored.node.item
    while not hasattr(node, "source"):
        node = getattr(node, "material", None) or getattr(node, "document", None) or node.instruction
    return str(node.source)


# ── the card ─────────────────────────────────────────────────────────────────────────────────────────────────────


def card_of(
    store: Store,
    held: Sequence[Stored],
    rows: Sequence[Mapping[str, Any]],
    pairs: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
    *,
    tokenizer: str,
    reasoning: str,
) -> str:
    """The dataset's README: counts from what is stored, settings, licences, checks and honest limits."""
    recipe = store.meta("recipe") or {}
    accepted = [s.node for s in held if s.node.status == "accepted"]
    kinds = _kinds(held)
    made = [line["kind"] for line in kinds if line["accepted"]]
    few = [line["kind"] for line in kinds if 0 < line["accepted"] < 5]
    ((calls, prompt, completion, nanos),) = store.rows(
        "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(cost), 0) "
        "FROM calls WHERE epoch > 0"
    )
    decided = sum(any(v.decides and v.outcome == "pass" for v in e.verdicts) for e in accepted)
    slots = {
        "name": recipe.get("name", "dataset"),
        "version": version("preceptor"),
        "rows": len(rows),
        "files": files,
        "kinds": kinds,
        "documents": len({e.instruction.material.document.id for e in accepted}),
        "languages": sorted({str(row["language"]) for row in rows}) or ["en"],
        "by_model": sum(e.answered_by == "model" for e in accepted),
        "by_gold": sum(e.answered_by == "gold" for e in accepted),
        "tries": dict(sorted(Counter(e.tries for e in accepted).items())),
        "decided": decided,
        "judged": len(accepted) - decided,
        "pairs": len(pairs),
        "pair_kinds": dict(sorted(Counter(p["pair"] for p in pairs).items())),
        "tokens": sum(row["tokens"] for row in rows),
        "tokenizer": tokenizer,
        "multi_turn": sum(sum(m["role"] == "user" for m in row["messages"]) > 1 for row in rows),
        "tool_rows": sum(any("tool_calls" in m for m in row["messages"]) for row in rows),
        "unanswerable": sum(row["answerability"] != "answerable" for row in rows),
        "models": {role: _model_name(recipe.get(role)) for role in ("teacher", "judge", "weak")},
        "seed": recipe.get("seed", ""),
        "passes": recipe.get("passes", 1),
        "brief": recipe.get("brief", ""),
        "calls": calls,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cost": f"{nanos / 1e9:.4f} in the currency of the price table" if nanos else "",
        "reasoning": {"drop": "left out", "field": "in a column of its own", "think": "in <think> tags"}[reasoning],
        "licences": _licences(accepted),
        "checks": _checks(held),
        "skipped": _skipped(store.meta("skipped") or ()),
        "quotas": quotas(store, store.meta("quotas") or ()),
        "licence": _licence(accepted),
        "few": few if len(few) < len(made) else [],
        "small": bool(made) and len(few) == len(made),
    }
    return fill(CARD.read_text(encoding="utf-8"), slots) + "\n"


def _model_name(spec: Any) -> str:
    return str(spec.get("model", "")) if isinstance(spec, Mapping) else str(spec or "")


def _kinds(held: Iterable[Stored]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for stored in held:
        counts[stored.skill, stored.node.instruction.kind][stored.node.status] += 1
    return [
        {"skill": skill, "kind": kind, **{s: found[s] for s in ("accepted", "rejected", "surplus")}}
        for (skill, kind), found in sorted(counts.items())
    ]


def _licences(accepted: Sequence[Example]) -> list[dict[str, Any]]:
    rows = Counter(e.instruction.material.document.licence for e in accepted)
    documents = Counter(d.licence for d in {e.instruction.material.document for e in accepted})
    return [{"licence": licence, "documents": documents[licence], "rows": n} for licence, n in sorted(rows.items())]


CREATIVE_COMMONS = r"cc0-1\.0|cc-by(-(nc|sa|nd|nc-sa|nc-nd))?-[234]\.\d"
HUB = re.compile(rf"{CREATIVE_COMMONS}|apache-2\.0|mit|isc|unlicense|bsd-[23]-clause|[em]pl-2\.0|gpl-[23]\.0|[al]gpl-3\.0")
"""Licences that dataset hubs know by name: SPDX names in small letters. Any other is `other`, with its name beside it."""


def _licence(accepted: Sequence[Example]) -> dict[str, str]:
    """The licence of the set's head: the one that all its documents state; `other` where they state several, or none."""
    stated = {e.instruction.material.document.licence.strip() for e in accepted}
    (only,) = stated if len(stated) == 1 else ("",)
    if HUB.fullmatch(only.lower()):
        return {"id": only.lower(), "name": ""}
    return {"id": "other", "name": only if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", only) and only != "unknown" else ""}


def _checks(held: Iterable[Stored]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for stored in held:
        for verdict in stored.node.verdicts:
            line = found.setdefault(
                verdict.check,
                {
                    "check": verdict.check,
                    "version": verdict.version,
                    "decides": verdict.decides,
                    "passed": 0,
                    "failed": 0,
                    "na": 0,
                },
            )
            line[{"pass": "passed", "fail": "failed", "na": "na"}[verdict.outcome]] += 1
    return [found[name] for name in sorted(found)]


def _skipped(skipped: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """How many kinds of each skill were left out for want of each role."""
    counts = Counter((line["skill"], line["role"]) for line in skipped)
    return [{"skill": skill, "role": role, "count": n} for (skill, role), n in sorted(counts.items())]
