"""What the commands print: plain tables and sentences for people, JSON for programs. Decides nothing."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

import click
import orjson
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from preceptor.types import Dropped, Example, Instruction, Material, Verdict

console = Console(highlight=False)
aside = Console(stderr=True, highlight=False)
MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "na": ("·", "bright_black")}


def notice(line: str) -> None:
    """One line about something the user should know, beside the work."""
    aside.print(Text(f"  note: {line}", style="yellow"))


def json(value: Any) -> None:
    """The value as JSON on standard output."""
    click.echo(orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode())


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: int = 99) -> None:
    """A table; columns from number `right` on are aligned as numbers."""
    if title:  # apart: a table's own title is broken at the table's width
        console.print(Text(title, style="bold"))
    made = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number >= right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    console.print(made)


# ── documents, packs, models ─────────────────────────────────────────────────────────────────────────────────────


def documents(corpus: Any, json_: bool) -> None:
    """Every file, how many documents it gives, and why not."""
    if json_:
        return json([{"source": line.source, "documents": line.documents, "reason": line.reason} for line in corpus.lines])
    rows = [(line.source, line.documents, line.kind, line.reason) for line in corpus.lines]
    table("", ("file", "documents", "kind", "note"), rows)
    read = sum(line.documents > 0 for line in corpus.lines)
    languages = Counter(d.language for d in corpus.documents)
    console.print(
        f"\n{read} of {len(corpus.lines)} files read: {len(corpus.documents)} documents, "
        + ", ".join(f"{n} {language}" for language, n in languages.most_common())
    )


def faults(found: Mapping[str, Sequence[str]]) -> None:
    """What is wrong with packs; ends with exit code 2 where anything is."""
    for name, wrong in found.items():
        console.print(Text(f"{'✗' if wrong else '✓'} {name}", style="red" if wrong else "green"))
        for fault in wrong:
            console.print(Text(f"    {fault}"), soft_wrap=True)
    if any(found.values()):
        raise SystemExit(2)


def skills(counts: Sequence[Mapping[str, Any]], json_: bool, *, each: bool = False) -> None:
    """What is in the box; with `each`, the kinds one by one."""
    if json_:
        return json(list(counts))
    names = ("skill", "kinds", "listed", "gold_first", "executable", "judged", "tools")
    table(
        "",
        [n.replace("_", " ") for n in names],
        [[", ".join(c[n]) if n == "tools" else c[n] for n in names] for c in counts],
        right=1,
    )
    console.print(
        "\nkinds: real ones · listed: named in the taxonomy, never drawn · gold first: the answer is built by code · "
        "executable: decided by a check that tells right from wrong"
    )
    for c in counts if each else ():
        rows = [(k["kind"], k["shape"], k["tier"], ", ".join(k["checks"]), ", ".join(k["judges"])) for k in c["kinds_detail"]]
        table(f"\n{c['skill']}", ("kind", "shape", "tier", "deciding checks", "judges"), rows)
    return None


def probes(found: Mapping[str, Any], json_: bool) -> None:
    """Which models answer and what they can do."""
    if json_:
        return json({role: asdict(probe) for role, probe in found.items()})
    rows = []
    for role, p in found.items():
        answers = "answers" if p.answers else "no answer"
        held = f"schema replies hold ({p.means})" if p.schema else "schema replies do not hold"
        rows.append(
            (
                role,
                p.name,
                answers,
                held if p.answers else "",
                p.tools if p.answers else "",
                f"{p.seconds:.2f} s a short call",
                p.permits,
                p.error or p.health,
            )
        )
    table("", ("role", "model", "", "fields", "tool calls", "speed", "permits", "health"), rows)
    return None


# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def live() -> Iterator[Callable[[Any], None]]:
    """Progress in one line while a run goes on: where it stands, what it made last, what it cost."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=aside, transient=True) as bar:
        task = bar.add_task("reading documents …")

        def tell(p: Any) -> None:
            items, rows = p.items, p.examples
            done = sum(n for state, n in items.items() if state != "pending")
            parts = [
                f"{done}/{sum(items.values())} items",
                f"{rows.get('accepted', 0)}{f'/{p.wanted}' if p.wanted else ''} rows accepted",
                f"{rows.get('rejected', 0)} rejected",
                f"{p.paid} calls",
                f"{p.completion_tokens} tokens written",
            ]
            if p.recalled:
                parts.append(f"{p.recalled} from the journal")
            if p.dollars:
                parts.append(f"{p.dollars:.4f} spent")
            if p.waiting:
                parts.append(f"{p.waiting} calls waiting")
            if p.why:
                parts.append(p.why)
            if p.parked:
                parts.append(f"{p.parked} items wait for replies")
            bar.update(task, description=f"{_clock(p.seconds)}  " + " · ".join(parts))

        yield tell


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S" if seconds >= 3600 else "%M:%S", time.gmtime(seconds))


def checked(found: Any, json_: bool) -> int:
    """What is not as it was written, and what to do; the number of faults is the exit code's."""
    if json_:
        json(found)
    elif found.faults:
        table(f"{found.folder} is damaged", ("where", "what", "what to do"), [(f.where, f.what, f.todo) for f in found.faults])
    else:
        bare = f"; {found.without} rows are older than sums" if found.without else ""
        console.print(f"{found.folder}: {found.rows} rows are what was written{bare}; the database and the law hold.")
    return len(found.faults)


def ended(run: Any) -> None:
    """What a run made and threw away, and what to type next."""
    report(run.report, False)
    newest(run.folder, run.newest())
    if run.ended and run.ended.interrupted:
        console.print("\nStopped. What was finished is kept; the same command goes on.")
    elif waits(run):
        asked, items = run.ended.waiting_requests, run.ended.progress.parked
        what = f"{asked} replies are" if asked else "Reviews are"
        console.print(f"\n{what} waited for, by {items} items; answer them, then the same command goes on.")
    console.print(f"\nRun folder: {run.folder}\nNext: preceptor export {run.folder}   ·   preceptor why {run.folder} ID")


def waits(run: Any) -> bool:
    """Whether somebody else's answer is needed before the run can go on: of a batch, or of a reviewer."""
    return bool(run.ended and (run.ended.waiting_requests or run.ended.progress.parked))


def report(found: Mapping[str, Any], json_: bool) -> None:
    """The funnel, the rows by kind, the losses by reason, and the cost."""
    if json_:
        return json(found)
    law = found["law"]
    _law(law)
    if found["kinds"]:
        rows = [
            (
                k["skill"],
                k["kind"],
                k["accepted"],
                k["rejected"],
                k["surplus"],
                ", ".join(f"{c} {n}" for c, n in k["failed"].items()),
            )
            for k in found["kinds"]
        ]
        table("\nRows", ("skill", "kind", "accepted", "rejected", "surplus", "failed checks"), rows, right=2)
    if found["drops"]:
        lost = [(d["count"], d["step"], d.get("skill", ""), _short(d["reason"], 110)) for d in found["drops"]]
        table("\nDropped, most frequent reasons first", ("", "step", "skill", "reason"), lost)
    for item in found["quarantined"]:
        console.print(Text(f"quarantined: {item['source']} × {item['skill']}: {item['error']}", style="red"))
    skipped = Counter((s["skill"], s["role"], s["line"]) for s in found["skipped"])
    for (skill, role, line), number in sorted(skipped.items()):
        console.print(Text(f"skipped: {number} kinds of {skill} need a {role}; to have them, add to the recipe: {line}"))
    for line in _target(found.get("target")):
        console.print(Text(line))
    for quota in found.get("quotas", ()):
        console.print(Text(_quota(quota)))
    calls, speed = found["calls"], found["speed"]
    by = " and ".join(f"{n} by {who}" for who, n in sorted(found["answered_by"].items())) or "none"
    console.print(
        f"\nAnswered: {by}. {calls['calls']} calls, {calls['prompt_tokens']} prompt and {calls['completion_tokens']} "
        f"completion tokens, {speed['calls_per_second']:.1f} calls a second."
    )
    if line := _money(found["money"]):
        console.print(Text(line))
    return None


def _money(money: Mapping[str, Any]) -> str:
    """Spent, set aside, to be expected; empty where nothing costs anything and no cache is reported."""
    said = []
    if money["spent"] or money["reserved"]:
        said = [f"{money['spent']:.4f} spent", f"{money['reserved']:.4f} set aside for calls in the air"]
        if money["per_accepted_row"] is not None:
            said.append(f"{money['per_accepted_row']:.6f} per accepted row")
        if money["projected"] is not None:
            said.append(f"{money['projected']:.4f} for the whole run at this rate")
    if money["cached_share"] is not None:
        said.append(f"{money['cached_share']:.0%} of the prompt tokens from the endpoint's cache")
    return f"Money: {', '.join(said)}." if money["spent"] or money["reserved"] else f"Cache: {said[0]}." if said else ""


def newest(folder: Any, rows: Sequence[Mapping[str, str]]) -> None:
    """The last few rows, so that `why` has an id to be asked with."""
    if rows:
        names = ("id", "status", "skill", "kind", "source")
        table("\nThe newest rows", names, [[row[name] for name in names] for row in rows])
        console.print(Text(f"\nHow one came about: preceptor why {folder} ID"))


def estimate(told: Any, json_: bool) -> None:
    """What a run will take: the whole with intervals, then per skill, then per step."""
    if json_:
        return json(told)
    console.print(f"By {told.done} items of {told.items:.0f}:")
    names = [("rows accepted", "accepted"), ("rows made", "made"), ("calls", "calls"), ("prompt tokens", "prompt_tokens")]
    names += [("completion tokens", "completion_tokens"), *([("money", "money")] if told.priced else []), ("hours", "hours")]
    rows = [(said, *_span(told.whole[name], name)) for said, name in names]
    table("\nThe whole run, and between what and what it lies nine times in ten", ("", "", "from", "to"), rows, right=1)
    shown = [(said, name) for said, name in names if name not in ("hours", "prompt_tokens")]
    rows = [(skill, *("{} ({} to {})".format(*_span(s[name], name)) for _, name in shown)) for skill, s in told.skills.items()]
    table("\nPer skill", ("skill", *(said for said, _ in shown)), rows, right=1)
    kept = ("calls", "prompt_tokens", "completion_tokens", *(("money",) if told.priced else ()))
    rows = [(s["skill"], s["step"], *(_amount(s[name], name) for name in kept)) for s in told.steps]
    table("\nPer skill and step", ("skill", "step", *(name.replace("_", " ") for name in kept)), rows, right=2)
    for cell in told.unreached:
        console.print(Text(f"{cell}: the pilot saw no row of it; what it will take cannot be told", style="yellow"))
    paid = f"{told.paid:.4f} of it is paid by the pilot; " if told.priced else "The pilot is part of the run: "
    console.print(f"\n{paid}`preceptor run` with the same recipe goes on from there and pays for nothing of it again.")
    if not told.priced:
        console.print("Money: add price = { input = …, output = … } to the models, per million tokens.")
    return None


def _span(span: Any, name: str) -> tuple[str, str, str]:
    return _amount(span.middle, name), _amount(span.low, name), _amount(span.high, name)


def _amount(value: float, name: str) -> str:
    if name == "money":
        return f"{value:.4f}" if value < 10 else f"{value:.2f}"
    return f"{value:.2f}" if name == "hours" else f"{value:.0f}"


def compared(told: Any, json_: bool) -> None:
    """Two prompts beside each other, and which differences are more than luck."""
    if json_:
        return json(told)
    rows = [
        (name, arm.made, arm.accepted, arm.calls, arm.tokens, *((f"{arm.money:.4f}",) if told.priced else ()))
        for name, arm in (("old", told.old), ("new", told.new))
    ]
    names = ("", "rows made", "accepted", "calls", "tokens", *(("money",) if told.priced else ()))
    table(f"{told.agent} on {told.documents} documents", names, rows, right=1)
    unit = "money" if told.priced else "tokens"
    digits = 6 if told.priced else 0
    for what, span, form in (
        ("share of rows accepted", told.acceptance, "+.1%"),
        ("accepted rows a document", told.rows, "+.2f"),
        (f"{unit} per accepted row", told.cost, f"+.{digits}f"),
    ):
        sure = "more than luck" if span.low > 0 or span.high < 0 else "may be luck"
        console.print(f"{what}: {span.middle:{form}} ({span.low:{form}} to {span.high:{form}}), {sure}")
    if told.preferred is None:
        console.print("preference: not asked; it takes a judge in the recipe, and accepted rows of both that differ")
        return None
    new, old, even = told.wins
    span = told.preferred
    console.print(
        f"preferred unseen: the new in {span.middle:.0%} of {new + old + even} pairs ({span.low:.0%} to {span.high:.0%}): "
        f"{new} won, {old} lost, {even} even"
    )
    return None


ENDS = {
    "filled": "The target is reached.",
    "open": "The target is not reached yet; the same command goes on.",
    "ceiling": "The target is given up: the ceiling on rows made is reached (limits.candidates in the recipe).",
    "barren": "The target is given up: nothing more came of the cells named below.",
    "passes": "The target is not reached after all the passes that the recipe allows (passes).",
}


def _target(target: Mapping[str, Any] | None) -> Iterator[str]:
    """How far the rows that were asked for are there; of each cell that wants more, what was tried."""
    if target is None:
        return
    yield f"\nRows: {target['accepted']} of {target['wanted']} accepted. {ENDS[target['ended']]}"
    for cell in target["cells"]:
        if cell["accepted"] < cell["wanted"]:
            tried = cell["tried"]
            yield (
                f"  {cell['skill']}/{cell['kind'] or 'other kinds'}: {cell['accepted']} of {cell['wanted']}; tried: "
                f"{tried['passes']} passes, {tried['made']} rows made, {cell['rejected']} of them rejected"
                + (f" ({', '.join(tried['failed'])})" if tried["failed"] else "")
                + (f"; dropped before: {_short('; '.join(tried['dropped']), 300)}" if tried["dropped"] else "")
            )


def unfilled(run: Any) -> bool:
    """Whether a number of rows was asked for that this run has given up to reach."""
    target = run.report["target"]
    return target is not None and target["ended"] in ("ceiling", "barren", "passes")


def _quota(quota: Mapping[str, Any]) -> str:
    reached = f"{quota['rows']} of {quota['of']} rows ({quota['share']:.1%}) are {quota['quota']}"
    beside = f", {quota['beside']} of them beside an answerable twin" if quota["rows"] else ""
    return f"quota of {quota['skill']}: {reached}, {quota['least']:.0%} to {quota['most']:.0%} asked for{beside}"


def _law(law: Mapping[str, Any]) -> None:
    items = law["items"]
    console.print(
        "Items  "
        + " = ".join(
            (
                str(sum(items.values()) if "planned" not in items else items["planned"]),
                " + ".join(f"{n} {s}" for s, n in items.items() if s != "planned"),
            )
        )
    )
    rows = [(s["step"], s["entered"], s["born"], s["passed"], s["dropped"], s.get("pending", 0)) for s in _steps(law["steps"])]
    table(
        "\nSteps: entered + born = passed + dropped + pending",
        ("step", "entered", "born", "passed", "dropped", "pending"),
        rows,
        right=1,
    )
    console.print(
        Text(
            "The counts add up." if law["holds"] else "THE COUNTS DO NOT ADD UP: please report this.",
            style="green" if law["holds"] else "bold red",
        )
    )


def _steps(steps: Any) -> list[Mapping[str, Any]]:
    if isinstance(steps, Mapping):
        return [{"step": name, **counts} for name, counts in steps.items()]
    return list(steps)


def _short(text: str, most: int) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def rechecked(found: Any) -> None:
    """What a recheck changed."""
    console.print(f"{found.rows} rows looked at again; {len(found.changed)} changed.")
    for row, before, now in found.changed:
        console.print(f"  {row}  {before} → {now}")


def exported(done: Any, json_: bool) -> None:
    """What an export wrote and how to load it."""
    if json_:
        return json(done)
    console.print(
        f"{done.rows} rows, {done.pairs} preference pairs, {done.rejected} rejected and {done.dropped} dropped "
        f"things in {done.folder}:"
    )
    console.print("  " + "  ".join(done.files))
    if done.rows:
        console.print(Text(f'\nload_dataset("parquet", data_files="{done.folder}/rows.parquet", split="train")'))
    return None


# ── one row, one way ─────────────────────────────────────────────────────────────────────────────────────────────


def row(example: Example, title: str = "") -> None:
    """A finished row in full, as the student sees it, and what its checks said."""
    parts = []
    for message in example.messages:
        body = str(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            body += f"\n→ {call['function']['name']}({call['function']['arguments']})"
        parts.append(Text.assemble((f"{message['role']}\n", "bold"), body.strip() + "\n"))
    parts.append(verdict_line(example.verdicts))
    parts += [Text(line, style="bright_black") for line in reasons(example.verdicts)]
    console.print(
        Panel(Text("\n").join(parts), title=title or f"{example.instruction.kind} · {example.id}", title_align="left")
    )


def row_line(number: int, skill: str, example: Example) -> None:
    """A new row in one line, while a run goes on."""
    asked = _short(example.instruction.text, 70)
    aside.print(
        Text(f"  row {number}: {skill}/{example.instruction.kind}: {asked} → {_short(example.answer, 50)}", style="green")
    )


def plain_row(row: Mapping[str, Any]) -> None:
    """A recorded row: its messages, and where it is from."""
    parts = [
        Text.assemble((f"{m['role']}\n", "bold"), str(m.get("content") or orjson.dumps(m.get("tool_calls")).decode()) + "\n")
        for m in row["messages"]
    ]
    title = f"recorded, strong teacher, not counted · {row['skill']}/{row['kind']}"
    console.print(Panel(Text("\n").join(parts), title=title, title_align="left", border_style="cyan"))


def say(text: str) -> None:
    """Paragraphs, each broken by the screen and not by its file; indented lines stay lines."""
    for paragraph in text.strip().split("\n\n"):
        console.print(Text("\n" + re.sub(r"\n(?=\S)", " ", paragraph)))


def verdict_line(verdicts: Sequence[Verdict]) -> Text:
    """All verdicts in a line: passed, failed, not applicable."""
    line = Text()
    for verdict in verdicts:
        mark, style = MARKS[verdict.outcome]
        line.append(f"{mark} {verdict.check}  ", style=style + (" bold" if verdict.decides else ""))
    return line


LEGEND = "✓ passed   ✗ failed   · not applicable (it had nothing to say of this row)   bold: it tells right from wrong"


def reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """Why verdicts failed or were not applicable, a line for each reason; and whether nothing decided the row at all."""
    told: dict[tuple[str, str], list[str]] = {}
    for v in verdicts:
        if v.outcome != "pass":
            told.setdefault((v.outcome, _short(v.evidence, 200)), []).append(v.check)
    lines = [
        f"{MARKS[mark][0]} {', '.join(names)}: {evidence or 'no reason given'}" for (mark, evidence), names in told.items()
    ]
    if verdicts and not any(v.outcome != "na" and (v.decides or v.by != "code") for v in verdicts):
        lines.append("Nothing decided this row: no check that tells right from wrong, and no judge, had anything to say of it.")
    return lines


def why(found: Mapping[str, Any], json_: bool) -> None:
    """The way of one row or drop: what it was made from, step by step, call by call."""
    if json_:
        return json({k: v for k, v in found.items() if k != "node"} | {"node": found["node"]})
    item = found["item"]
    console.print(f"[bold]item[/bold] {item['id']}  skill {item['skill']}  {item['state']} {item['reason']}")
    for node in found["lineage"]:
        node_line(node)
    if found["verdicts"]:
        rows = [
            (v["generation"], v["check"], v["outcome"], "decides" if v["decides"] else "", v["by"], _short(v["evidence"], 90))
            for v in found["verdicts"]
        ]
        table("\nVerdicts", ("gen", "check", "outcome", "", "by", "evidence"), rows)
        console.print(Text(LEGEND, style="bright_black"))
    rows = [
        (c["agent"], c["model"], c["outcome"], c["prompt_tokens"], c["completion_tokens"], _short(c.get("note", ""), 60))
        for c in found["calls"]
    ]
    table("\nCalls of this item", ("agent", "model", "outcome", "in", "out", "note"), rows)
    return None


def node_line(node: Any) -> None:
    """One thing of a lineage in a few lines."""
    name = type(node).__name__.lower()
    match node:
        case Dropped():
            text = f"at {node.step}: {node.reason}"
        case Example():
            return row(node, f"example {node.id} · {node.status} · answered by {node.answered_by}")
        case Instruction():
            goal = f" · refined: {node.goal}" if node.goal else ""
            text = f"{node.kind}{goal} · {node.made_by}\n{node.text}"
        case Material():
            text = f"{node.genre}\n{_short(node.text, 400)}"
        case _:
            text = (
                f"{node.source} {node.span} · {node.kind} · {node.language} · licence {node.licence}\n{_short(node.text, 400)}"
            )
    console.print(Panel(Text(text), title=f"{name} {node.id}", title_align="left", border_style="bright_black"))


def tried(found: Any, *, brief: bool = False) -> None:
    """One document's way: prompts, replies, verdicts and price, in the order in which they were asked."""
    node_line(found.document)
    for call in found.calls if not brief else ():
        request, completion = call["request"], call["completion"] or {}
        asked = "\n\n".join(f"[{m['role']}]\n{m.get('content') or ''}" for m in request.get("messages", ()))
        console.print(Panel(Text(asked), title=f"▶ {call['agent']}", title_align="left", border_style="blue"))
        said = completion.get("content", "") if isinstance(completion, Mapping) else str(completion)
        tokens = f"{call['prompt_tokens']} in, {call['completion_tokens']} out"
        console.print(
            Panel(
                Text(f"{said}\n{call.get('note', '')}".strip()),
                title=f"◀ {call['outcome']} · {tokens}",
                title_align="left",
                border_style="green",
            )
        )
    for use in found.uses if not brief else ():
        console.print(
            Text(f"tool {use['tool']}({_short(use['arguments'], 100)}) → {_short(use['result'] or use['error'], 200)}")
        )
    for dropped in found.produced.dropped:
        console.print(Text(f"dropped at {dropped.step} ({dropped.kind or dropped.agent}): {dropped.reason}", style="yellow"))
    for example in found.produced.examples:
        row(example, f"{example.status} · {example.instruction.kind} · answered by {example.answered_by}")
    if any(example.verdicts for example in found.produced.examples):
        console.print(Text(LEGEND, style="bright_black"))
    accepted = sum(e.status == "accepted" for e in found.produced.examples)
    console.print(
        f"{accepted} accepted of {len(found.produced.examples)} rows; {len(found.calls)} calls, {found.spent:.4f} spent."
    )


def fidelity(found: Any, json_: bool) -> None:
    """How a trial stands, or what it found."""
    if json_:
        return json(found)
    for line in found.lines():
        console.print(Text(line))
    return None
