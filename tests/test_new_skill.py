"""A stranger's skill: a topic that is in no document of ours, two kinds, one deciding check, and rows, with commands alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.show import reasons
from preceptor.types import Verdict

ROOT = Path(__file__).resolve().parent.parent

DOCUMENT = """# Yoke of the child's jumper

Cast on 96 stitches in the round with 4 mm needles. Knit 6 rounds in rib: one knit, one purl. Change to 5 mm needles.

Raglan round 1: mark 4 stitches as seam stitches, evenly spaced. Before and after each of them increase one stitch; this is
an increase round and adds 8 stitches. Knit one round plain. Repeat these two rounds until there are 168 stitches.

*psso* means: pass the slipped stitch over the stitch that was just knitted, and drop it. *yo* means: bring the yarn to the
front over the needle, which makes a new stitch and leaves a hole. In the yoke no *yo* is used, for it shall be warm.
"""

FILES = {
    "patterns/yoke.md": DOCUMENT,
    "knitting/2_instruct/taxonomy.toml": """
[[kind]]
name    = "stitch_count"
about   = "Ask how many stitches or rounds there are at a certain point, so that it must be reckoned from the pattern."
example = "How many stitches are on the needle after the second decrease round?"
shape   = "number"
checks  = ["same_count"]

[[kind]]
name    = "term"
about   = "Ask what an abbreviation of the pattern tells the knitter to do."
example = "What does k2tog ask for?"
shape   = "short"
checks  = ["gold_text"]
""",
    "knitting/2_instruct/stitch_count.md": """+++
[reply]
working  = { type = "list", min = 1, max = 4, of = { quote = { max = 200 }, value = { type = "number" } } }
formula  = { max = 80 }
answer   = { type = "integer", min = 0, max = 2000 }
question = { max = 300 }
+++
{{ block("pattern", material.text) }}

{{ kind.about }} For example: {{ kind.example }}
""",
    "knitting/2_instruct/term.md": """+++
[reply]
evidence = { type = "list", min = 1, max = 2 }
answer   = { max = 120 }
accepts  = { type = "list", max = 4, optional = true }
question = { max = 300 }
+++
{{ block("pattern", material.text) }}

{{ kind.about }}
""",
    "knitting/skill.py": '''"""Knitting: a count is right if it is the same number, with or without its unit."""

import re
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.types import Ask, Example, Verdict


@check(decides=True, sees="the bare answer is the gold's number", blind="whether the gold was reckoned rightly")
async def same_count(example: Example, skill: Any, ask: Ask) -> Verdict:
    """112, 112 stitches and 112 sts are the same count."""
    gold = example.instruction.gold
    if gold is None or gold.form != "number":
        return not_applicable("no count")
    found = re.fullmatch(r"(\\d+)( \\w+)?", str(example.fields.get("final", "")).strip().rstrip("."))
    if found and int(found[1]) == gold.value:
        return passed(found[0])
    return failed(f"{example.fields.get('final')} is not {gold.value}", hint="the count is another one")


CHECKS = (same_count,)
''',
    "replies.jsonl": "\n".join(
        json.dumps(line)
        for line in (
            {
                "agent": "knitting/2_instruct/stitch_count",
                "times": "always",
                "fields": {
                    "working": [{"quote": "Cast on 96 stitches", "value": 96}, {"quote": "adds 8 stitches", "value": 8}],
                    "formula": "96 + 3 * 8",
                    "answer": 120,
                    "question": "How many stitches are there after three increase rounds?",
                },
            },
            {
                "agent": "knitting/2_instruct/term",
                "times": "always",
                "fields": {
                    "evidence": ["*yo* means: bring the yarn to the\nfront over the needle"],
                    "answer": "bring the yarn to the front over the needle",
                    "accepts": ["bring the yarn forward over the needle"],
                    "question": "What is the knitter to do at yo?",
                },
            },
            {
                "agent": "*/answer",
                "contains": "three increase",
                "sample": 0,
                "times": "always",
                "fields": {"answer": "114: 96 and three times 6.", "final": "114 stitches"},
            },
            {
                "agent": "*/answer",
                "contains": "three increase",
                "sample": 1,
                "times": "always",
                "fields": {"answer": "120: 96 and three times 8.", "final": "120 stitches"},
            },
            {
                "agent": "*/answer",
                "contains": "at yo",
                "times": "always",
                "fields": {
                    "answer": "Bring the yarn to the front over the needle, which makes a new stitch.",
                    "final": "bring the yarn to the front over the needle",
                },
            },
        )
    ),
    "recipe.toml": """
name      = "knitting"
documents = ["patterns/*.md"]
licence   = "CC0-1.0"
teacher   = "scripted:replies.jsonl"
skills    = ["knitting"]
""",
}


def typed(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """What happened when the line was typed in that folder."""
    command = [sys.executable, "-m", "preceptor", *line.split()[1:]]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which somebody has done what docs/write-a-skill.md says, with matter of their own."""
    folder = tmp_path_factory.mktemp("workshop")
    assert typed(folder, "preceptor new knitting").returncode == 0
    for gone in (
        "1_transform/notice.md",
        "2_instruct/stated_figure.md",
        "2_instruct/yes_or_no.md",
        "3_refine/goals.toml",
        "3_refine/suggester.md",
        "3_refine/editor.md",
        "trial.jsonl",
    ):
        (folder / "knitting" / gone).unlink()
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_pack_is_found_right(workshop: Path) -> None:
    done = typed(workshop, "preceptor check knitting")
    assert (done.returncode, done.stdout.strip()) == (0, "✓ knitting")


def test_its_kinds_are_counted_as_decided_by_code(workshop: Path) -> None:
    (counts,) = json.loads(typed(workshop, "preceptor skills knitting --json").stdout)
    assert (counts["skill"], counts["kinds"], counts["executable"], counts["judged"]) == ("knitting", 2, 2, 0)


def test_one_document_can_be_watched(workshop: Path) -> None:
    done = typed(workshop, "preceptor try knitting patterns/yoke.md --model scripted:replies.jsonl")
    assert done.returncode == 0, done.stderr
    assert "2 accepted of 2 rows" in done.stdout
    assert "knitting/2_instruct/stitch_count" in done.stdout  # prompts and replies are shown
    assert "· not applicable" in done.stdout  # what the marks mean


def test_rows_come_of_it_with_their_check_their_source_and_a_pair(workshop: Path) -> None:
    done = typed(workshop, "preceptor run recipe.toml")
    assert done.returncode == 0, done.stderr
    assert typed(workshop, "preceptor export runs/knitting").returncode == 0
    rows = [json.loads(line) for line in (workshop / "runs/knitting/dataset/rows.jsonl").read_text().splitlines()]
    assert {row["kind"] for row in rows} == {"stitch_count", "term"}
    count = next(row for row in rows if row["kind"] == "stitch_count")
    assert "120" in count["messages"][-1]["content"]
    assert any(v["check"] == "same_count" and v["outcome"] == "pass" and v["decides"] for v in json.loads(count["verdicts"]))
    assert {row["source"] for row in rows} == {"patterns/yoke.md"}
    assert {row["licence"] for row in rows} == {"CC0-1.0"}
    assert "license: cc0-1.0" in (workshop / "runs/knitting/dataset/README.md").read_text()
    (pair,) = (workshop / "runs/knitting/dataset/preference.jsonl").read_text().splitlines()
    assert "114" in json.dumps(json.loads(pair)["rejected"])


def test_typed_again_it_pays_for_nothing_and_says_the_same(workshop: Path) -> None:
    before = json.loads(typed(workshop, "preceptor status runs/knitting --json").stdout)
    assert typed(workshop, "preceptor run recipe.toml").returncode == 0
    after = json.loads(typed(workshop, "preceptor status runs/knitting --json").stdout)
    assert (after["law"], after["calls"], after["kinds"]) == (before["law"], before["calls"], before["kinds"])


def test_status_names_rows_that_why_can_be_asked_of(workshop: Path) -> None:
    told = typed(workshop, "preceptor status runs/knitting").stdout.partition("The newest rows")[2]
    ids = [line.split()[0] for line in told.splitlines() if " accepted " in line]
    assert len(ids) == 2
    done = typed(workshop, f"preceptor why runs/knitting {ids[0]}")
    assert done.returncode == 0, done.stderr
    assert "✓ passed   ✗ failed   · not applicable" in done.stdout


def test_what_says_nothing_of_a_row_gives_its_reason() -> None:
    """A check that decides nothing here is shown with why, and a row that nothing decides is said to be one."""
    verdicts = (Verdict("order_right", "na", "the task asks for no order", decides=True), Verdict("refusal", "pass"))
    assert reasons(verdicts)[0] == "· order_right: the task asks for no order"
    assert "Nothing decided this row" in reasons(verdicts)[1]


def test_nothing_of_ours_was_touched() -> None:
    """The words of this topic stand nowhere in the package or the documentation that the stranger had."""
    places = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.md"), ROOT / "README.md", ROOT / "docs/write-a-skill.md"]
    assert not [p for p in places if "raglan" in p.read_text(encoding="utf-8").lower()]
