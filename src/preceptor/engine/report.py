"""A run in plain data: what was made, what was not and why, what it took. Every number is counted from the store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.engine.store import STATUSES, Store

MOST_REASONS = 12


def report(
    store: Store, skipped: Sequence[Mapping[str, Any]] = (), asked: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The summary of a run, all of one instant.

    `law` (items, steps, examples, holds) · `kinds` (per skill and kind: each status, checks that failed, share that
    passed) · `answered_by` and `tries` of accepted rows · `drops` (most frequent first) · `agents` · `calls` · `spent` ·
    `money` · `target` (where a number of rows is asked for: each cell, what it has and what was tried) · `skipped` (as
    given: kinds that the recipe cannot serve, each with the line that would enable it) · `quotas` (those `asked` for, with
    what was reached) · `speed`.
    """
    with store.instant():
        made = store.rows_by_kind()
        accepted = [row for row in made if row["status"] == "accepted"]
        agents = store.by_agent()
        return {
            "law": store.law(),
            "kinds": _kinds(made, store.failures()),
            "answered_by": _summed(accepted, "answered_by"),
            "tries": _summed(accepted, "tries"),
            "drops": store.drops()[:MOST_REASONS],
            "dropped_by_step": _summed(store.drops(), "step"),
            "quarantined": _quarantined(store),
            "agents": agents,
            "calls": _calls(agents),
            "spent": store.spent(),
            "money": _money(store),
            "target": target(store),
            "skipped": [dict(kind) for kind in skipped],
            "quotas": quotas(store, asked),
            "speed": _speed(store),
        }


def quotas(store: Store, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each quota that was asked for (`skill`, `quota`, `least`, `most`) with the rows that fill it, `of` all accepted
    rows of the skill, their `share`, and how many of them stand `beside` the row that they were made from."""
    counted = store.by_answerability()
    told = []
    for quota in asked:
        own = [line for line in counted if line["skill"] == quota["skill"]]
        rows, of = (sum(line["count"] for line in lines) for lines in (_filling(own, quota), own))
        beside = sum(line["beside"] for line in _filling(own, quota))
        told.append({**quota, "rows": rows, "of": of, "share": rows / of if of else 0.0, "beside": beside})
    return told


def _filling(lines: Sequence[Mapping[str, Any]], quota: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["answerability"] == quota["quota"]]


def _kinds(made: Sequence[Mapping[str, Any]], failures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    cells: dict[tuple[str, str], Counter[str]] = {}
    for row in made:
        cells.setdefault((row["skill"], row["kind"]), Counter())[row["status"]] += row["count"]
    table = []
    for (skill, kind), counts in cells.items():
        failed = {f["check"]: f["count"] for f in failures if (f["skill"], f["kind"]) == (skill, kind)}
        statuses = {status: counts[status] for status in STATUSES}
        passed = counts["accepted"] + counts["surplus"]
        table.append({"skill": skill, "kind": kind, **statuses, "yield": passed / counts.total(), "failed": failed})
    return table


def _summed(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, int]:
    summed: Counter[str] = Counter()
    for row in rows:
        summed[str(row[by])] += row["count"]
    return dict(summed)


def _calls(agents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    names = ["calls", "ok", "declined", "misfit", "cut", "failed"]
    names += ["prompt_tokens", "completion_tokens", "reasoning_tokens"]
    return {name: sum(agent[name] for agent in agents) for name in names}


def _money(store: Store) -> dict[str, float | None]:
    """What is spent and set aside, what an accepted row has cost, what the whole will have cost at this rate, and how much
    of the prompts came from a prefix cache. None: there is nothing to tell it from."""
    spent, items = sum(store.spent().values()), store.states()
    done, rows = sum(items.values()) - items["pending"], _accepted(store)
    planned, asked = max(int(store.meta("planned") or 0), sum(items.values())), (store.meta("target") or {}).get("cells")
    wanted = sum(n for _, _, n in asked) if asked else 0
    share = (wanted / rows if wanted else planned / done) if (rows if wanted else done) else None
    return {
        "spent": spent,
        "reserved": store.set_aside(),
        "per_accepted_row": spent / rows if rows else None,
        "projected": None if share is None else spent * share,
        "cached_share": store.cached_share(),
    }


def _accepted(store: Store) -> int:
    return int(store.rows("SELECT count(*) FROM nodes WHERE type = 'example' AND status = 'accepted'")[0][0])


def target(store: Store) -> dict[str, Any] | None:
    """The rows asked for and reached, cell by cell; for a cell that wants more, what was made and why it did not count.
    None where no number was asked for."""
    asked = store.meta("target")
    if not asked or not asked["cells"]:
        return None
    made, failures, drops = store.rows_by_kind(), store.failures(), store.drops()
    own = {(skill, kind) for skill, kind, _ in asked["cells"]}
    ((passes,),) = store.rows("SELECT coalesce(max(pass) + 1, 0) FROM items")
    cells = []
    for skill, kind, wanted in asked["cells"]:

        def here(row: Mapping[str, Any], skill: str = skill, kind: str = kind) -> bool:
            return row["skill"] == skill and (row["kind"] == kind if kind else (skill, row["kind"]) not in own)

        counts: Counter[str] = Counter()
        for row in filter(here, made):
            counts[row["status"]] += row["count"]
        reasons: Counter[str] = Counter()
        for f in filter(here, failures):
            reasons[f["check"]] += f["count"]
        told = [f"{check} {n}" for check, n in reasons.most_common(3) if n]
        own_drops = [d for d in drops if here(d) or (d["skill"] == skill and not d["kind"])]
        lost = [f"{d['step']}: {d['reason']} ({d['count']})" for d in own_drops]
        statuses = {status: counts[status] for status in STATUSES}
        tried = {"passes": passes, "made": counts.total(), "failed": told, "dropped": lost[:3]}
        cells.append({"skill": skill, "kind": kind, "wanted": wanted, **statuses, "tried": tried})
    wanted, accepted = (sum(c[name] for c in cells) for name in ("wanted", "accepted"))
    return {"wanted": wanted, "accepted": accepted, "ended": asked["ended"], "cells": cells}


def _quarantined(store: Store) -> list[dict[str, Any]]:
    """Items set aside, with the last line of their traceback; `why` shows the whole."""
    sql = "SELECT id, skill, source, reason, crashes FROM items WHERE state = 'quarantined' ORDER BY pass, place"
    names = ("item", "skill", "source", "error", "crashes")
    table = [dict(zip(names, row, strict=True)) for row in store.rows(sql)]
    return [row | {"error": row["error"].strip().rpartition("\n")[2]} for row in table]


def _speed(store: Store) -> dict[str, float]:
    """Calls and rows a second while calls were made, and how many were in the air on average. Pauses between processes
    count for nothing."""
    ((calls, busy),) = store.rows("SELECT count(*), coalesce(sum(ended - started), 0) FROM calls WHERE epoch > 0")
    spans = store.rows("SELECT max(ended) - min(started) FROM calls WHERE epoch > 0 GROUP BY epoch")
    seconds = sum(span for (span,) in spans)
    rows = _accepted(store)
    if not seconds:
        return {"seconds": 0.0, "calls_per_second": 0.0, "accepted_per_second": 0.0, "in_the_air": 0.0}
    return {
        "seconds": seconds,
        "calls_per_second": calls / seconds,
        "accepted_per_second": rows / seconds,
        "in_the_air": busy / seconds,
    }
