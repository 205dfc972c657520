"""Makes the README's pictures: what `preceptor status` and `preceptor why` print of a real run, as SVG.

python scripts/pictures.py                 of a small run with a scripted teacher, made anew
python scripts/pictures.py RUN [ROW]       of a run that is there, such as runs/demo
"""

import io
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from preceptor import factory, show
from preceptor.engine.store import Store
from preceptor.recipe import recipe_of
from preceptor.scaffold import new_skill

ROOT = Path(__file__).resolve().parent.parent
INTO = ROOT / "docs" / "pictures"
WIDTH = 112


def main() -> None:
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]), *sys.argv[2:3])
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(small_run(Path(folder)))


def small_run(folder: Path) -> Path:
    """The pack that `preceptor new` makes, run on its own document by its own script."""
    pack = new_skill("harbour_rules", folder)
    table = {
        "documents": [str(pack / "golden/documents/*.md")],
        "skills": [str(pack)],
        "licence": "Apache-2.0",
        "teacher": f"scripted:{pack}/trial.jsonl",
    }
    return factory.run(recipe_of(table, pack / "golden"), folder / "run").folder


def draw(run: Path, row: str = "") -> None:
    """status.svg and why.svg stand in docs/pictures."""
    INTO.mkdir(parents=True, exist_ok=True)
    picture("status", lambda: show.report(factory.Run(run).report, False), "preceptor status runs/harbour_rules")
    store = Store(run)
    try:
        shown = row or max(store.examples("accepted"), key=lambda stored: stored.node.tries).node.id
        picture("why", lambda: show.why(store.why(shown), False), f"preceptor why runs/harbour_rules {shown[:8]}")
    finally:
        store.close()


def picture(name: str, shown: Callable[[], None], title: str) -> None:
    console = Console(record=True, width=WIDTH, highlight=False, file=io.StringIO())
    before, show.console = show.console, console
    try:
        shown()
    finally:
        show.console = before
    svg = console.export_svg(title=title, unique_id=name)
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.S)  # a picture in a README loads nothing
    (INTO / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(f"wrote docs/pictures/{name}.svg")


if __name__ == "__main__":
    main()
