"""Makes the PDF and the DOCX of this folder again: `python make_binary.py` (needs reportlab and python-docx)."""

from datetime import datetime
from pathlib import Path

HERE = Path(__file__).parent
LICENCE = "Licensed under the Apache License, Version 2.0."

PENDULUM = [
    ("h", "The Clock on the Mountain"),
    ("p", "In 1671 the French Academy sent the astronomer Jean Richer to Cayenne, five degrees north of the equator, with a pendulum clock that had been set "
     "right in Paris. When he set it going it lost about two and a half minutes a day. Nothing was broken. He shortened the pendulum "
     "by a line and a quarter, which is a little under three millimetres, and it kept time again. Back in Paris it ran fast by as much, and he had to lengthen it."),
    ("p", "Richer's measurement was embarrassing before it was famous. A pendulum of given length should swing in a given time; that was the whole point of it. For small swings the time "
     "of one full swing is"),
    ("f", "T = 2π √(L / g)"),
    ("p", "where L is the length and g the acceleration of a falling body. If L had not changed and T had, then g could not be the same in both places. "
     "Things weigh less in Cayenne."),
    ("h", "How much less?"),
    ("p", "A day has 86,400 seconds. Losing 148 of them means that each swing takes longer by the share 148/86,400, about 0.0017. Since T goes with the square root of 1/g, "
     "g must be smaller by about twice that share:"),
    ("f", "Δg / g ≈ −2 ΔT / T ≈ −0.0034"),
    ("p", "Modern values are 9.809 metres per second squared in Paris and 9.780 in Cayenne, a difference of 0.0030. For a man with one clock, four months and the "
     "moons of Jupiter to tell him the true time, Richer did well."),
    ("p", "Two causes were offered. Huygens said that the Earth turns, and that whoever stands at the equator is slung outwards a little; this accounts for some two thirds of the "
     "effect. Newton added that a turning Earth must bulge, so that at the equator one stands farther from the centre, and gravity itself is weaker there. He used Richer's clock, in "
     "the third book of the Principia, as evidence for a shape that nobody had seen."),
    ("h", "The same trick, upwards"),
    ("p", "If g falls with distance from the centre, it must fall on a mountain. With R for the Earth's radius, about 6,371 kilometres, a clock carried up by a height h "
     "meets a gravity weaker by the factor"),
    ("f", "g(h) / g(0) = (R / (R + h))^2 ≈ 1 − 2h / R"),
    ("p", "In 1737 Pierre Bouguer carried a pendulum to a height of some 4,700 metres on Pichincha. The formula asks for a loss of gravity of 0.0015, and so for a clock "
     "slow by some 64 seconds a day. He found less. He did not doubt the formula: he had forgotten, he saw, that a mountain is not a tower. Between his "
     "clock and the sea lay kilometres of rock, pulling down. From the shortfall he estimated how dense the rock was compared with the whole Earth, and "
     "concluded, correctly, that the planet is not hollow and not made of water."),
    ("p", "It is worth noticing what kind of discovery this is. A clock is built so that only one thing can disturb it, and then every other thing is kept from it with "
     "care. When it still goes wrong, the error has nowhere to hide. The failure of a good instrument is a measurement."),
]  # fmt: skip

LEASE = [
    ("Heading 1", "House rules and lease conditions, 27 Quayside Lofts"),
    (None, "These conditions are part of the lease between Quayside Lofts Housing Society (the Society) and the tenant named on the first page. Where the two differ, the "
     "lease is followed, except in section 4, which takes precedence over it."),
    ("Heading 2", "1. Quiet hours"),
    (None, "Between 22:30 and 06:45 nothing may be audible outside the flat. On the nights before a public holiday the evening limit is midnight. Practising an instrument is "
     "allowed for at most 90 minutes a day outside these hours, and not on Sundays before 11:00. Drilling counts as practising the drill and is allowed on working days only, until 18:00."),
    ("Heading 2", "2. Guests and subletting"),
    (None, "A guest may stay for 21 nights in any period of six months without notice. A longer stay needs the Society's consent, which it gives or refuses in writing within ten working "
     "days; silence counts as consent. Letting the flat or a room to travellers for money is not permitted, whatever the number of nights. Exchange of homes without payment is treated as "
     "a stay of guests."),
    ("Heading 2", "3. Animals"),
    (None, "Small animals in cages or tanks need no consent, provided that no tank holds more than 120 litres. One dog or up to two cats may be kept with consent. Consent may be "
     "withdrawn only after two written complaints from different households within a year, and then takes effect after three months. Assistance dogs are not counted and need no consent."),
    ("Heading 2", "4. Damp and repairs"),
    (None, "A tenant who sees damp, mould or a leak must report it within five days. The Society must inspect within seven days of the report and begin the repair within 28 days, or within 48 "
     "hours where water is running. If it is late, the rent is reduced by 4 per cent for each full week, to at most 40 per cent. The reduction is lost for any week in which the tenant has "
     "refused entry that was announced two days before."),
    ("Heading 2", "5. Charges"),
    ("table", [["Item", "Charge", "When due"], ["Lost key to the street door", "£38.50", "on replacement"], ["Second bicycle space", "£4.20 a month", "with the rent"],
               ["Bulky waste left in the yard", "£55 and the cost of removal", "14 days after the bill"], ["Late rent, from the eighth day", "£12 once, then 0.9 % a month", "with the next rent"]]),
    ("Heading 2", "6. Giving notice"),
    (None, "The tenant may end the lease at the end of any month with two months' notice. Notice received after the third working day of a month counts from the next month. The Society may end it "
     "only for the reasons in section 11 of the lease, with a notice that grows with the length of the tenancy: three months in the first five years, six up to the eighth year, and nine after that."),
    (None, LICENCE),
]  # fmt: skip


def make_pdf(path: Path) -> None:
    """The essay as a small-format PDF with running heads, page numbers and hyphenated lines, as books have them."""
    from reportlab.lib.enums import TA_CENTER
    from reportlab.lib.pagesizes import A5
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    font = next((f for f in Path("/usr/share/fonts").rglob("DejaVuSerif.ttf")), None)
    if font is None:
        raise SystemExit("DejaVuSerif.ttf is needed for √, π and Δ: install the package fonts-dejavu-core")
    pdfmetrics.registerFont(TTFont("Serif", str(font)))
    body = ParagraphStyle("body", fontName="Serif", fontSize=9.5, leading=13.5, firstLineIndent=14, alignment=4)
    title = ParagraphStyle(
        "title", parent=body, fontSize=15, leading=20, firstLineIndent=0, spaceBefore=8, spaceAfter=8, alignment=0
    )
    formula = ParagraphStyle("formula", parent=body, alignment=TA_CENTER, spaceBefore=5, spaceAfter=5, firstLineIndent=0)
    styles = {"h": title, "p": body, "f": formula}

    def furnish(canvas: object, document: object) -> None:
        canvas.setFont("Serif", 7.5)  # type: ignore[attr-defined]
        canvas.drawString(54, A5[1] - 34, "ESSAYS ON INSTRUMENTS")  # type: ignore[attr-defined]
        canvas.drawCentredString(A5[0] / 2, 30, str(document.page))  # type: ignore[attr-defined]

    story = [Paragraph(text, styles[style]) for style, text in [*PENDULUM, ("p", LICENCE)]]
    document = SimpleDocTemplate(
        str(path), pagesize=A5, leftMargin=54, rightMargin=54, topMargin=54, bottomMargin=54, invariant=1,
        title="The Clock on the Mountain", author="Preceptor's authors",
    )  # fmt: skip
    document.build([*story, Spacer(1, 4)], onFirstPage=furnish, onLaterPages=furnish)


def make_docx(path: Path) -> None:
    from docx import Document

    document = Document()
    document.core_properties.title = "House rules and lease conditions, 27 Quayside Lofts"
    document.core_properties.author = "Preceptor's authors"
    document.core_properties.created = document.core_properties.modified = datetime(2024, 2, 13, 9, 41)
    for style, content in LEASE:
        if style == "table":
            table = document.add_table(rows=0, cols=len(content[0]))
            for row in content:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        else:
            document.add_paragraph(content, style=style)
    document.save(str(path))


if __name__ == "__main__":
    make_pdf(HERE / "the_clock_on_the_mountain.pdf")
    make_docx(HERE / "quayside_lofts_lease.docx")
