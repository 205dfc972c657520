"""The documentation cannot lie: its commands and code are run, its generated parts compared, its links followed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*) ?([^\n`]*)\n(.*?)^```$", re.M | re.S)
SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it (run, shows, file=…, exit=…), its text."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    def word(self, name: str, otherwise: str = "") -> str:
        return next((w.partition("=")[2] for w in self.words if w.startswith(f"{name}=")), otherwise)


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(found[1], tuple(found[2].split()), found[3], text.count("\n", 0, found.start()) + 1)


def runs(page: Path) -> bool:
    return any("run" in block.words for block in blocks(page))


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1"}


def command_of(block: Block) -> list[str]:
    return [sys.executable, "-c", block.text] if block.language == "python" else ["bash", "-euc", block.text]


@pytest.mark.parametrize("page", [p for p in PAGES if runs(p)], ids=lambda p: p.name)
def test_what_a_page_says_to_type_works_in_the_order_in_which_it_stands(page: Path, tmp_path: Path) -> None:
    """Blocks marked `run` are run in one empty folder, `file=` ones written there; `shows` must be in the output so far."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    said = ""
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if name := block.word("file"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block.text, encoding="utf-8")
        elif "run" in block.words:
            done = subprocess.run(
                command_of(block), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=SECONDS
            )
            said = done.stdout + done.stderr
            assert done.returncode == int(block.word("exit", "0")), f"{where}:\n{block.text}\n{said}"
        elif "shows" in block.words:
            seen = " ".join(said.split())
            for line in block.text.splitlines():
                assert " ".join(line.split()) in seen, f"{where}: {line!r} is not in what was printed:\n{said}"


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs.py"), "--check"], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_readmes_tree_quotes_the_first_line_of_each_file() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- tree")[2].partition("<!-- end of tree")[0]
    for file in sorted((ROOT / "src" / "preceptor").rglob("*.py")):
        inside = file.relative_to(ROOT / "src" / "preceptor")
        if inside.parts[0] == "skills" or file.name == "__init__.py":
            continue
        first = file.read_text(encoding="utf-8").splitlines()[0].strip('"')
        assert re.search(rf"^ +{re.escape(file.name)} +{re.escape(first)}$", tree, re.M), f"{inside}: type make docs"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:|mailto:", target):
            continue
        led = (page.parent / path).resolve() if path else page
        assert led.exists(), f"{page.name}: {target}"
        if anchor and led.suffix == ".md":
            assert anchor in anchors(led), f"{page.name}: {target}; there are: {', '.join(sorted(anchors(led)))}"


def test_every_promise_names_the_test_that_holds_it() -> None:
    """In the README's promises, `tests/…::name` is a test that exists."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", text)
    assert named, "the README's promises name no test"
    for test, file in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("0*.py")), ids=lambda p: p.name)
def test_every_example_runs_as_it_stands(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip(), "it prints nothing"


def test_every_test_that_a_page_names_is_there() -> None:
    named = {m for page in PAGES for m in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text("utf-8"))}
    assert named
    assert [(file, name) for file, name in named if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")] == []
