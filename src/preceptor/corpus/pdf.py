"""PDF pages as lines of text, rebuilt from where each character stands: exponents, roots, fractions, headings.

    characters ─▶ atoms (fractions and roots folded) ─▶ lines (x^2, a_n, √(a + b)) ─▶ paragraphs and headings

The usual extractors give `c` and `2` as two lines where the page shows c². Position, size and font tell them apart.
Runs in the child process that `child` serves; PDFium may crash on a hostile file, and then takes only the child along.
"""

import ctypes
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from preceptor.corpus.clean import without_page_furniture
from preceptor.corpus.wrap import joined_lines

MOST_CHARACTERS = 20_000  # on one page; more is a drawing made of text
OVER_BAR, UNDER_BAR = 0.85, 1.05  # how far from a fraction bar its parts may have their baselines, in character sizes

# TeX's mathematical fonts often carry no map to Unicode, so PDFium reports the slot of the glyph. These are the slots
# of CMSY, CMEX and CMMI (Knuth, Computer Modern Typefaces) that come out as letters or digits.
TEX_SLOTS = {
    "CMSY": {"0": "′", "p": "√", "1": "∞", "2": "∈", "8": "∀", "9": "∃", "r": "∇", "±": "±"},
    "CMEX": {"p": "√", "q": "√", "r": "√", "s": "√", "R": "∫", "Z": "∫", "P": "∑", "X": "∑", "Q": "∏", "Y": "∏"},
}
TEX_SLOTS["CMEX"] |= dict(zip("\x00\x01\x10\x11\x12\x13\x02\x03\x14\x15\x08\x09\x1a\x1b", "()()()[][]{}{}", strict=True))
TEX_SLOTS["CMMI"] = dict(zip(map(chr, range(0x0B, 0x22)), "αβγδεζηθικλμνξπρστυφχψω", strict=True))
SLOTTED = frozenset("".join("".join(slots) for slots in TEX_SLOTS.values()))
CAPTION = re.compile(r"(?:Fig|Figure|Abb)\.? ?\d+\.?", re.I)  # alone it names a drawing that is not there
CHAPTER_NUMBER = re.compile(r"#+ (?:CHAPTER|PART|BOOK|SECTION) [\dIVXLC]+\.?", re.I)
PAGE_END = "\f"
ACCENTS = {"`": "\u0300", "´": "\u0301", "¨": "\u0308", "ˆ": "\u0302", "˜": "\u0303"}


class PdfTrouble(Exception):
    """The file cannot be read as it is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character, or something folded into one: text, left and right edge, baseline, top, size."""

    text: str
    left: float
    right: float
    base: float
    top: float
    size: float
    space: bool = False
    """A space stands before it."""
    broke: bool = False
    """The extractor thinks that a new line starts here."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin horizontal bar: of a fraction, or over a root's content."""

    left: float
    right: float
    y: float

    def spans(self, glyph: Glyph) -> bool:
        return self.left - 1 <= (glyph.left + glyph.right) / 2 <= self.right + 1


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line."""

    text: str
    left: float
    right: float
    base: float
    size: float


def pdf_text(path: str) -> tuple[str, str]:
    """The text of a PDF as Markdown-like paragraphs and headings, and its title. Raises PdfTrouble."""
    import pypdfium2 as pdfium  # type: ignore[import-untyped, unused-ignore]
    import pypdfium2.raw as raw  # type: ignore[import-untyped, unused-ignore]

    try:
        book = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        raise PdfTrouble(trouble(str(error))) from error
    pages = [list(lines(page_glyphs(book[number], raw), page_rules(book[number], raw))) for number in range(len(book))]
    if not any(pages):
        raise PdfTrouble("has no text layer (scanned pages): run OCR first, for example `ocrmypdf in.pdf out.pdf`")
    title = str(book.get_metadata_dict().get("Title") or "")
    return laid_out([without_labels(page) for page in pages]), title


def trouble(message: str) -> str:
    """What PDFium's error means to the owner of the file."""
    if "password" in message.lower():
        return "is encrypted: save a copy without password, for example `qpdf --decrypt in.pdf out.pdf`"
    return "is damaged or cut off: PDFium cannot open it; download or export it again"


def page_glyphs(page: Any, raw: Any) -> list[Glyph]:
    """The page's characters in the order of the file, with spaces and line ends as marks of the next one."""
    words = page.get_textpage()  # held: PDFium closes it with the last reference
    handle = words.raw
    box = [ctypes.c_double() for _ in range(4)]
    x, y = ctypes.c_double(), ctypes.c_double()
    glyphs: list[Glyph] = []
    space = broke = False
    for index in range(min(raw.FPDFText_CountChars(handle), MOST_CHARACTERS)):
        char = chr(raw.FPDFText_GetUnicode(handle, index))
        if char in " \t\xa0\r\n":
            space, broke = True, broke or char in "\r\n"
            continue
        raw.FPDFText_GetCharBox(handle, index, *(ctypes.byref(edge) for edge in box))
        raw.FPDFText_GetCharOrigin(handle, index, ctypes.byref(x), ctypes.byref(y))
        left, right, bottom, top = (edge.value for edge in box)
        size = raw.FPDFText_GetFontSize(handle, index) or 1.0
        if char in "\x02\ufffe\xad":
            char = "\xad"
        elif char in SLOTTED:
            char = unslotted(char, handle, index, raw)
        # Large signs hang from their origin, so their middle says which line they belong to.
        base = bottom if char == "√" else (bottom + top) / 2 - size / 4 if char in "()[]{}" else y.value
        glyphs.append(Glyph(char, left, right, base, top, size, space, broke))
        space = broke = False
    return glyphs


def unslotted(char: str, handle: Any, index: int, raw: Any) -> str:
    """`char`, or what TeX's font really shows in that slot."""
    flags = ctypes.c_int()
    name = ctypes.create_string_buffer(64)
    raw.FPDFText_GetFontInfo(handle, index, name, 64, ctypes.byref(flags))
    font = name.value.decode("ascii", "replace").rpartition("+")[2][:4].upper()
    return TEX_SLOTS.get(font, {}).get(char, char)


def page_rules(page: Any, raw: Any) -> list[Rule]:
    """The page's thin horizontal bars, shortest first, so that an inner fraction is folded before an outer one."""
    found: list[Rule] = []
    for thing in page.get_objects(filter=(raw.FPDF_PAGEOBJ_PATH,), max_depth=2):
        left, bottom, right, top = thing.get_bounds()
        if 2 < right - left < 260 and top - bottom < 1.6:
            found.append(Rule(left, right, (top + bottom) / 2))
        if len(found) > 200:  # a drawing, not formulas
            return []
    return sorted(found, key=lambda rule: (rule.right - rule.left, -rule.y, rule.left))


def lines(glyphs: list[Glyph], rules: list[Rule]) -> Iterator[Line]:
    """Printed lines, top to bottom as the file has them."""
    for rule in rules:
        glyphs = folded_root(glyphs, rule) or folded_fraction(glyphs, rule) or glyphs
    line: list[Glyph] = []
    for glyph in glyphs:
        if line and starts_line(line, glyph):
            yield printed(line)
            line = []
        line.append(glyph)
    if line:
        yield printed(line)


def folded_root(glyphs: list[Glyph], rule: Rule) -> list[Glyph] | None:
    """`glyphs` with the root sign that this bar belongs to and its content as one; None if there is no such sign."""
    for at, sign in enumerate(glyphs):
        if sign.text == "√" and abs(sign.right - rule.left) < 2.5 and abs(sign.top - rule.y) < 3:
            end = at + 1
            while end < len(glyphs) and rule.spans(glyphs[end]) and sign.base - 4 < glyphs[end].base < rule.y:
                end += 1
            inside = glyphs[at + 1 : end]
            if inside:
                text = "√" + bracketed(linear(inside))
                base = Counter(round(g.base, 1) for g in inside if g.size >= inside[0].size).most_common(1)[0][0]
                one = Glyph(text, sign.left, rule.right, base, rule.y, inside[0].size, sign.space, False)
                return [*glyphs[:at], one, *glyphs[end:]]
    return None


def folded_fraction(glyphs: list[Glyph], rule: Rule) -> list[Glyph] | None:
    """`glyphs` with what stands over and under this bar as one `a/b`; None if something does not stand there."""

    def part(glyph: Glyph) -> int:
        if not rule.spans(glyph):
            return 0
        over = (glyph.base - rule.y) / glyph.size
        if glyph.top > rule.y + 0.1 * glyph.size:
            return 1 if 0 < over < OVER_BAR else 0
        return -1 if -over < UNDER_BAR else 0

    start = next((at for at, glyph in enumerate(glyphs) if part(glyph) == 1), None)
    if start is None:
        return None
    middle = start
    while middle < len(glyphs) and part(glyphs[middle]) == 1:
        middle += 1
    end = middle
    while end < len(glyphs) and part(glyphs[end]) == -1:
        end += 1
    over, under = glyphs[start:middle], glyphs[middle:end]
    if not under or rule.right - rule.left > 3 * max(width(over), width(under)):
        return None
    if cuts_word(glyphs, start) or cuts_word(glyphs, end):  # a line of a drawing between two lines of text
        return None
    size = over[0].size
    text = f"{bracketed(linear(over))}/{bracketed(linear(under))}"
    one = Glyph(text, rule.left, rule.right, rule.y - size / 4, rule.y + size, size, over[0].space, False)
    return [*glyphs[:start], one, *glyphs[end:]]


def cuts_word(glyphs: list[Glyph], at: int) -> bool:
    """Whether the glyphs before and at `at` are parts of one word."""
    if not 0 < at < len(glyphs):
        return False
    before, after = glyphs[at - 1], glyphs[at]
    return not after.space and abs(before.base - after.base) < 0.5 and before.text.isalpha() and after.text.isalpha()


def width(glyphs: list[Glyph]) -> float:
    return max(g.right for g in glyphs) - min(g.left for g in glyphs)


def bracketed(text: str) -> str:
    """`text` in parentheses unless it is one number, one name or in parentheses already."""
    if re.fullmatch(r"[^\W_]+′*|\([^()]*\)", text):
        return text
    return f"({text})"


def starts_line(line: list[Glyph], glyph: Glyph) -> bool:
    """Whether `glyph` stands on another line than `line`, exponents and indices allowed for."""
    main = max(line[-12:], key=lambda g: g.size)
    last = line[-1]
    rise = glyph.base - main.base
    if glyph.left < last.left - main.size and glyph.broke:
        return True
    if abs(rise) < 0.2 * main.size:
        return glyph.left > last.right + 8 * main.size and glyph.broke
    if glyph.size < 0.86 * main.size or main.size < 0.86 * glyph.size:
        return abs(rise) > 0.75 * max(main.size, glyph.size)
    return abs(rise) > 0.45 * main.size and (glyph.broke or abs(rise) > main.size)


def printed(line: list[Glyph]) -> Line:
    size = Counter(round(g.size, 1) for g in line for _ in g.text).most_common(1)[0][0]
    base = next((g.base for g in line if round(g.size, 1) == size), line[0].base)
    return Line(linear(line), min(g.left for g in line), max(g.right for g in line), base, size)


def linear(glyphs: Iterable[Glyph]) -> str:
    """Glyphs of one line as text; what stands smaller and higher becomes `^…`, smaller and lower `_…`."""
    run = list(glyphs)
    largest = max(g.size for g in run)
    base = Counter(round(g.base, 1) for g in run if g.size > 0.86 * largest).most_common(1)[0][0]
    out: list[str] = []
    level, raised = 0, ""

    def close() -> None:
        nonlocal raised
        if raised:
            mark = "^" if level > 0 else "_"
            plain = raised.strip("′") == "" or not re.fullmatch(r"[-−+]?[^\W_]+(/\w+)?|.", raised)
            out.append(raised if raised.strip("′") == "" else mark + (f"({raised})" if plain else raised))
        raised = ""

    for at, g in enumerate(run):
        rise = g.base - base
        small = g.size < 0.86 * largest and len(g.text) <= 12
        now = 0 if not small or abs(rise) < 0.1 * largest else (1 if rise > 0 else -1)
        gap = g.space and at > 0 and g.left - run[at - 1].right > 0.12 * largest
        if now != level:
            close()
            level = now
        if now == 0:
            out.append((" " if gap or (g.broke and at) else "") + g.text)
        else:
            raised += g.text
    close()
    return composed("".join(out))


def composed(text: str) -> str:
    """`text` with TeX's accents on their letters and without the blank that italics leave before a comma."""
    text = re.sub(r"([`´¨ˆ˜])([A-Za-z])", lambda m: unicodedata.normalize("NFC", m[2] + ACCENTS[m[1]]), text)
    return re.sub(r"(?<=[′A-Z\d)\]}]) +(?=[,.;:)\]}](?:\W|$))", "", text)


def without_labels(page: list[Line]) -> list[Line]:
    """The page without the letters of a drawing: four or more lines on end that hold no word and no equation."""
    kept: list[Line] = []
    run: list[Line] = []
    for line in [*page, Line("\0", 0, 0, 0, 0)]:
        bare = re.sub(r"[\W_\d]", "", line.text)
        if line.text != "\0" and len(line.text) <= 14 and len(bare) <= 5 and not re.search(r"[=<>]|[a-z]{3}", line.text):
            run.append(line)
            continue
        if len(run) < 4:
            kept += run
        run = []
        if line.text != "\0" and not CAPTION.fullmatch(line.text):
            kept.append(line)
    return kept


def laid_out(pages: list[list[Line]]) -> str:
    """Paragraphs and headings from printed lines; page heads, feet and numbers are left out."""
    texts = without_page_furniture([[line.text for line in page] for page in pages])
    kept = [
        [replace(line, text=text) for line, text in zip(page, cleaned, strict=True) if text is not None]
        for page, cleaned in zip(pages, texts, strict=True)
    ]
    sizes = Counter(size for page in kept for line in page for size in [line.size] * len(line.text))
    body = sizes.most_common(1)[0][0] if sizes else 10.0
    headings = sorted({s for s, n in sizes.items() if s > 1.12 * body and n < 0.2 * sizes[body]}, reverse=True)[:4]
    out: list[str] = []
    for page in kept:
        if page:
            out += [*paragraphs(page, body, headings), PAGE_END]
    return joined_pages(out)


def paragraphs(page: list[Line], body: float, headings: list[float]) -> Iterator[str]:
    """The page's lines, with an empty one wherever a paragraph, a heading or a displayed formula starts or ends."""
    left = Counter(round(line.left) for line in page).most_common(1)[0][0]
    right = max(line.right for line in page)
    before: Line | None = None
    for line in page:
        depth = headings.index(line.size) + 1 if line.size in headings and len(line.text) < 120 else 0
        centred = abs(line.left - left - (right - line.right)) < 2.5 * body
        display = centred and line.left > left + 1.2 * body and line.right < right - 1.2 * body
        if before is not None:
            gap = before.base - line.base
            indented = 0.6 * body < line.left - left < 3 * body
            same = depth and before.size == line.size and gap < 2.2 * line.size
            tall = "/" in before.text + line.text and before.right > right - body and abs(line.left - left) < body
            apart = gap > (2.4 if tall else 1.7) * body or gap < 0  # a fraction pushes the lines of its paragraph apart
            if not same and (depth or display or before.size in headings or apart or indented):
                yield ""
            if same:
                yield " " + line.text
                before = line
                continue
        elif line.left - left > 0.6 * body and not depth:
            yield ""
        yield ("#" * depth + " " if depth else "") + line.text
        before = line


def joined_pages(rows: list[str]) -> str:
    """Rows as text: a sentence that runs over a page border, or a heading over a line border, becomes whole."""
    merged: list[str] = []
    block: list[str] = []
    page_ended = False
    for row in [*rows, PAGE_END]:
        if row and row != PAGE_END:
            block.append(row)
            continue
        if block:
            text, block = joined_lines(block), []
            before = merged[-1] if merged else ""
            if CHAPTER_NUMBER.fullmatch(before) and len(text) < 120 and not re.search(r"^#|[.!?]$", text):
                merged[-1] += ": " + text
            elif runs_on(before, text, page_ended):
                merged[-1] = joined_lines([before, text])
            else:
                merged.append(text)
            page_ended = False
        page_ended |= row == PAGE_END
    return "\n\n".join(merged)


def runs_on(before: str, text: str, page_ended: bool) -> bool:
    """Whether `text` goes on with the sentence, or the word, that `before` breaks off in."""
    if before.startswith("#") or not re.match(r"[a-zäöüß(]", text):
        return False
    return before.endswith(("-", "\xad")) or (page_ended and len(before) > 60 and bool(re.search(r"[\w,;–]$", before)))
