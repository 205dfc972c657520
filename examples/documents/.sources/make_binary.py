"""Makes the PDF and the DOCX of the folder above again from the texts beside it: `python make_binary.py`.

Needs reportlab and python-docx. In the texts `#` begins a heading, `$` a displayed formula, `|` a row of a table.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def blocks(name: str) -> Iterator[tuple[str, str]]:
    """(mark, words) of each block of a text; a table stays as its lines."""
    for block in (HERE / name).read_text("utf-8").strip().split("\n\n"):
        mark, _, words = block.partition(" ")
        if block.startswith("|"):
            yield "|", block
        else:
            yield (mark, words) if mark in ("#", "##", "$") else ("", " ".join(block.split()))


def make_pdf(path: Path) -> None:
    """The essay on small pages with running heads and page numbers, as books have them."""
    from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY, TA_LEFT
    from reportlab.lib.pagesizes import A5
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    font = next(Path("/usr/share/fonts").rglob("DejaVuSerif.ttf"), None)
    if font is None:
        raise SystemExit("DejaVuSerif.ttf is needed for √, π and Δ: install the package fonts-dejavu-core")
    pdfmetrics.registerFont(TTFont("Serif", str(font)))
    body = ParagraphStyle("body", fontName="Serif", fontSize=9.5, leading=13.5, firstLineIndent=14, alignment=TA_JUSTIFY)
    title = ParagraphStyle("title", parent=body, fontSize=15, leading=20, firstLineIndent=0, spaceBefore=8, spaceAfter=8)
    title.alignment = TA_LEFT
    formula = ParagraphStyle("formula", parent=body, alignment=TA_CENTER, spaceBefore=5, spaceAfter=5, firstLineIndent=0)

    def furnish(canvas: Any, document: Any) -> None:
        canvas.setFont("Serif", 7.5)
        canvas.drawString(54, A5[1] - 34, "ESSAYS ON INSTRUMENTS")
        canvas.drawCentredString(A5[0] / 2, 30, str(document.page))

    styles = {"#": title, "$": formula, "": body}
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 54)
    document = SimpleDocTemplate(str(path), pagesize=A5, invariant=1, title="The Clock on the Mountain", **margins)
    story = [Paragraph(words, styles[mark]) for mark, words in blocks("clock.txt")]
    document.build(story, onFirstPage=furnish, onLaterPages=furnish)


def make_docx(path: Path) -> None:
    """The lease with Word's own headings and table."""
    from docx import Document

    document = Document()
    document.core_properties.title = "House rules and lease conditions, 27 Quayside Lofts"
    document.core_properties.author = "The authors of Preceptor"
    document.core_properties.created = document.core_properties.modified = datetime(2024, 2, 13, 9, 41)
    for mark, words in blocks("lease.txt"):
        if mark == "|":
            rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in words.splitlines()]
            table = document.add_table(rows=0, cols=len(rows[0]))
            for row in rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        else:
            document.add_paragraph(words, style=f"Heading {len(mark)}" if mark else None)
    document.save(str(path))


if __name__ == "__main__":
    make_pdf(HERE.parent / "the_clock_on_the_mountain.pdf")
    make_docx(HERE.parent / "quayside_lofts_lease.docx")
