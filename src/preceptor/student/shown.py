"""What train, exam and evaluate print: a few lines of text, and the same as plain data for other programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from preceptor.student.evaluate import Result, Share, table
from preceptor.student.exam import Exam
from preceptor.student.train import Trained


def of_training(made: Trained, left_out: Mapping[str, int]) -> dict[str, Any]:
    """A training as data."""
    return {**asdict(made), "folder": str(made.folder), "left_out": dict(left_out)}


def training(made: Trained, left_out: Mapping[str, int]) -> str:
    """A training in words."""
    first, last = (sum(part) / max(len(part), 1) for part in (made.losses[:5], made.losses[-5:]))
    aside = "".join(f", {n} left out ({why})" for why, n in left_out.items())
    long = f", {made.too_long} too long" if made.too_long else ""
    return (
        f"{made.rows} rows{aside}{long}; {made.tokens} tokens, {made.learnt} of them learnt from\n"
        f"{made.steps} steps in {made.seconds:.0f} s; loss {first:.3f} at first, {last:.3f} at the end\n"
        f"{made.folder}/model · {made.folder}/curves.png · {made.folder}/training.json"
    )


def of_exam(exam: Exam, file: str) -> dict[str, Any]:
    """An exam as data."""
    counts = Counter((i.skill, i.kind) for i in exam.items)
    kinds = [{"skill": skill, "kind": kind, "items": n} for (skill, kind), n in sorted(counts.items())]
    documents = len({i.source for i in exam.items})
    return {"file": file, "id": exam.id, "items": len(exam.items), "documents": documents, "shots": len(exam.shots),
            "kinds": kinds, "left_out": dict(exam.left_out)}  # fmt: skip


def exam(made: Exam, file: str) -> str:
    """An exam in words."""
    told = of_exam(made, file)
    lines = [f"{line['items']:6}  {line['skill']}/{line['kind']}" for line in told["kinds"]]
    lost = ", ".join(f"{n} for their {why}" for why, n in made.left_out.items())
    aside = f"; left out because training rows hold the like: {lost}" if lost else ""
    return "\n".join(
        [*lines, f"{told['items']} items from {told['documents']} held-out documents, {told['shots']} to show{aside}", file]
    )


def of_result(result: Result, against: Result | None) -> dict[str, Any]:
    """A result as data, without the replies."""
    right = sum(m.right for m in result.marked)
    return {
        "model": result.model,
        "exam": result.exam,
        "shots": result.shots,
        "items": len(result.marked),
        "right": right,
        "seconds": result.seconds,
        "table": table(result, against),
    }


def result(made: Result, against: Result | None) -> str:
    """A result in words: a line for each skill and kind."""
    lines = []
    for line in table(made, against):
        name = f"  {line['kind']}" if line["kind"] else line["skill"]
        share = percent(Share(line["items"], line["share"], *line["wilson"]))
        apart = points(Share(line["items"], line["against"], *line["against_interval"])) if against else ""
        lines.append(f"{name:34} {line['right']:4} of {line['items']:4}  {share}{'  ' + apart if apart else ''}")
    right = sum(m.right for m in made.marked)
    return "\n".join([*lines, f"{made.model}: {right} of {len(made.marked)} right, {made.seconds:.0f} s"])


def percent(share: Share) -> str:
    """`47 % [41, 53]`."""
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def points(share: Share) -> str:
    """`+12.3 [+4.0, +20.1]`, in points."""
    return f"{100 * share.value:+.1f} [{100 * share.low:+.1f}, {100 * share.high:+.1f}]"


def tabled(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))
