"""Writes the parts of the documentation that the code knows best: docs/checks.md, docs/cli.md, the README's tree.

python scripts/docs.py            writes them
python scripts/docs.py --check    writes nothing; ends with 1 and what to type where one of them is stale
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "preceptor"
BEGIN, END = "<!-- tree: written by scripts/docs.py -->", "<!-- end of tree -->"
FIRST = (
    "types.py",
    "errors.py",
    "draws.py",
    "prompts.py",
    "skill.py",
    "recipe.py",
    "flows",
    "skills",
    "checks",
    "corpus",
    "models",
    "tools",
    "engine",
    "export",
    "factory.py",
)
"""In the order of reading; what is not named here follows by name."""
FLOWS = ("produce.py", "flow1_transform.py", "flow2_instruct.py", "flow3_refine.py", "respond.py", "verify.py")


def main() -> int:
    made = {ROOT / "docs" / "cli.md": cli(), ROOT / "docs" / "checks.md": checks(), ROOT / "README.md": readme()}
    stale = [file for file, text in made.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for file in stale:
            print(f"{file.relative_to(ROOT)} is stale; type: make docs", file=sys.stderr)
        return bool(stale)
    for file in stale:
        file.write_text(made[file], encoding="utf-8")
        print(f"wrote {file.relative_to(ROOT)}")
    return 0


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────────


def readme() -> str:
    """The README with today's tree between its markers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n```text\nsrc/preceptor/\n" + "\n".join(tree(PACKAGE)) + f"\n```\n{END}{after}"


def tree(folder: Path, depth: int = 1) -> Iterator[str]:
    """A line for every Python file: its name, and what its first line says it is."""
    for entry in sorted((e for e in folder.iterdir() if shown(e)), key=place):
        if entry.is_file():
            yield line(depth, entry.name, first_line(entry))
        else:
            about = entry / "__init__.py"
            said = "one folder a skill" if entry.name == "skills" else first_line(about) if about.exists() else ""
            yield line(depth, f"{entry.name}/", said)
            yield from packs(entry, depth + 1) if entry.name == "skills" else tree(entry, depth + 1)


def packs(folder: Path, depth: int) -> Iterator[str]:
    """A line for every pack, by what its skill.toml says it is about."""
    import tomllib

    for file in sorted(folder.glob("*/skill.toml")):
        about = tomllib.loads(file.read_text(encoding="utf-8")).get("about", "")
        yield line(depth, f"{file.parent.name}/", about)
    yield line(depth, "_shared/", "Text that several packs use: the frame of every prompt, judges, languages.")
    yield line(depth, "_template/", "What `preceptor new` and `preceptor init` copy.")


def line(depth: int, name: str, said: str) -> str:
    indent = "    " * depth
    return f"{indent}{name:<{31 - len(indent)}} {said}".rstrip()


def shown(entry: Path) -> bool:
    if entry.is_dir():
        return entry.name == "skills" or any(entry.glob("*.py"))
    return entry.suffix == ".py" and entry.name != "__init__.py"


def place(entry: Path) -> tuple[int, int, str]:
    order = FIRST if entry.parent == PACKAGE else FLOWS
    return (order.index(entry.name) if entry.name in order else len(order), entry.name.startswith("_"), entry.name)


def first_line(file: Path) -> str:
    """The first line of a module's docstring."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    return said.splitlines()[0] if said else ""


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────────


def cli() -> str:
    """What every command says of itself."""
    from click.testing import CliRunner

    from preceptor.cli import main as command

    def said(*words: str) -> str:
        done = CliRunner().invoke(command, [*words, "--help"], prog_name="preceptor", terminal_width=100)
        if done.exit_code:
            raise SystemExit(f"preceptor {' '.join(words)} --help ended with {done.exit_code}: {done.output}")
        return done.output.rstrip()

    intro = "Written by `make docs` from `--help`. Every reporting command takes `--json`."
    parts = ["# Commands", intro, f"```text\n{said()}\n```"]
    for name in sorted(command.commands):
        parts += [f"## preceptor {name}", f"```text\n{said(name)}\n```"]
    return "\n\n".join(parts) + "\n"


# ── the checks ───────────────────────────────────────────────────────────────────────────────────────────────────


def checks() -> str:
    """Every check: what it sees, what it cannot see; and which of them decide each kind."""
    from importlib import import_module
    from pkgutil import iter_modules

    from preceptor import checks as box
    from preceptor.checks.base import Check
    from preceptor.skill import built_in, load_skill

    parts = [
        "# Checks",
        "Written by `make docs` from the code. A check **decides** only if it tells a right from a wrong answer of the same "
        "form, length and schema; the others find faults, and their silence proves nothing. The last column is the one to "
        "read before you trust a row.",
        "How to write one: [write-a-skill.md](write-a-skill.md). How verdicts add up to accepted or rejected: "
        "[three-flows.md](three-flows.md#verify).",
    ]
    told: set[str] = set()
    for module in sorted(m.name for m in iter_modules(box.__path__)):
        family = import_module(f"preceptor.checks.{module}")
        found = {n: c for c in vars(family).values() if isinstance(c, Check) and (n := c.name) not in told}
        told |= set(found)
        if found:
            parts += [f"## {module}", first_line(Path(str(family.__file__))), table(found)]
    skills = {name: load_skill(name) for name in built_in()}
    for name, skill in skills.items():
        if skill.checks:
            parts += [f"## Only in {name}", table(skill.checks)]
    parts += ["## Which checks decide which kind", "Real kinds only. *judge*: no code decides it; a judge is asked."]
    for name, skill in skills.items():
        parts += [f"### {name}", decided(skill)]
    return "\n\n".join(parts) + "\n"


def table(found: Mapping[str, Any]) -> str:
    """A row for every check."""
    rows = ["| check | decides | languages | version | sees | cannot see |", "|---|---|---|---:|---|---|"]
    for name in sorted(found):
        c = found[name]
        languages = ", ".join(sorted(c.languages)) if c.languages else "all"
        decides = "yes" if c.decides else "no"
        decides += f", asks a {c.needs[0]}" if c.needs else ""
        cells = (f"`{name}`", decides, languages, c.version, c.sees, c.blind)
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def decided(skill: Any) -> str:
    """A row for every real kind: its shape, and the checks that decide it."""
    from preceptor.testing.packs import deciding

    rows = ["| kind | shape | decided by |", "|---|---|---|"]
    for kind in skill.kinds:
        if kind.tier == "real":
            names = ", ".join(f"`{check.name}`" for check in deciding(kind, skill))
            rows.append(f"| {kind.name} | {kind.shape} | {names or '*judge*'} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
