"""A text cut where its author would cut it: at chapters, headings, functions, turns, paragraphs, then sentences.

    borders (place, strength) ─▶ the cheapest way through them ─▶ pieces of least..most characters

Each border has a strength. A way through them pays for pieces that are too short, for cutting at weak borders and for
running over strong ones; the cheapest way is found exactly (dynamic programming), so equal texts give equal pieces.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

CHAPTER, SECTION, SUBSECTION, PARAGRAPH, CONTINUED, LINE, SENTENCE, WORD, ANYWHERE = 9.0, 7.5, 6.0, 4.0, 2.2, 2.0, 1.5, 0.5, 0.0
CONTEXT = 300  # characters

HEADING = re.compile(r"^(#{1,6}) +(.+?)\s*#*$")
PLAIN_HEADING = re.compile(
    r"(?:CHAPTER|Chapter|PART|Part|BOOK|ACT|SCENE|KAPITEL|Kapitel|Teil|अध्याय)\s+[\dIVXLC]+\b[.:]?.{0,80}"
    r"|[IVXLC]{1,7}\.(?: .{1,80})?"
)
FENCE = re.compile(r"^ {0,3}(```|~~~)")
# A sentence ends at . ! ? … । or their like, before a blank and something that can begin a sentence.
SENTENCE_END = re.compile(r"[.!?…।॥؟][\"'”’»)\]]*\s+(?=[^\sa-zß-ÿ,;:.)\]])|[。！？]+[」』”]*")
ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Nr|No|Fig|Sec|Vol|pp?|cf|vs|etc|al|approx|ca|bzw|Abs|Art|Jr|Sr|Inc|Ltd|Co)|\b[A-Za-z]|डॉ)\.\s*$"
)
TURN = re.compile(r"^(?:\*\*)?(?:\[[\d:]+\]\s*)?[^\W\d][\w.’'\- ]{0,28}(?: \([^)]{1,30}\))?(?:\*\*)?\s?:")
DEFINITION = re.compile(
    r"^(\s*)(?:export\s+|default\s+|pub(?:\([^)]*\))?\s+|public\s+|private\s+|protected\s+|static\s+|async\s+|abstract\s+|final\s+|unsafe\s+|override\s+)*"
    r"(?:def|class|func|fn|function|impl|trait|struct|enum|interface|module|namespace|type|sub|proc|object|CREATE\s+\w+|"
    r"(?:const|let|var)\s+\w+\s*=\s*(?:async\s*)?\(|[\w<>\[\],*&:]+\s+\**\w+\s*\([^;]*\)\s*(?:const\s*)?\{?\s*$)",
)


@dataclass(frozen=True, slots=True)
class Size:
    """Characters of a piece: shorter than `least` only where nothing else is left, never longer than `most`."""

    least: int = 1200
    best: int = 3000
    most: int = 6000

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.best <= self.most:
            raise ValueError(f"sizes must rise: least {self.least}, best {self.best}, most {self.most}")


@dataclass(frozen=True, slots=True)
class Piece:
    """text[start:end] is the piece; `title` names where it stands, `context` is a little of what comes before."""

    start: int
    end: int
    title: str = ""
    context: str = ""


def split(text: str, form: str = "md", size: Size | None = None, *, title: str = "") -> list[Piece]:
    """Pieces of `text` in order, without overlap; between them stand only blanks. `form` is md, txt, api, table,
    dialogue, code or code:LANGUAGE. No piece is longer than `size.most`."""
    size = size or Size()
    bare = text.rstrip()
    first = len(text) - len(text.lstrip())
    if not bare:
        return []
    outline = list(headings(text, form))
    if len(bare) - first <= size.most and len(bare) - first <= 2 * size.best:
        cuts = [first, len(bare)]
    else:
        cuts = cheapest(first, len(bare), borders(text, form, outline, size), size)
    pieces = []
    for start, end in pairwise(cuts):
        while start < end and text[start].isspace():
            start += 1
        if form.startswith("code"):  # the indentation of the first line belongs to the code
            start = (
                max(text.rfind("\n", 0, start) + 1, cuts[0])
                if not text[text.rfind("\n", 0, start) + 1 : start].strip()
                else start
            )
        stop = end
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        if text[start:stop].strip():
            pieces.append(Piece(start, stop, named(outline, text, start, title), context(text, start)))
    return pieces


def cheapest(start: int, end: int, found: dict[int, float], size: Size) -> list[int]:
    """The cut places, `start` and `end` included, of the cheapest way from one to the other."""
    places = sorted({start, end, *(place for place in found if start < place < end)})
    strength = [found.get(place, ANYWHERE) for place in places]
    best: list[float] = [0.0] + [float("inf")] * (len(places) - 1)
    back = [0] * len(places)
    for to in range(1, len(places)):
        crossed = 0.0
        weak = 0.0 if places[to] == end else (10 - strength[to]) ** 2 / 8
        for at in range(to - 1, -1, -1):
            length = places[to] - places[at]
            if length > size.most:
                break
            cost = best[at] + length_cost(length, size) + weak + crossed
            if cost < best[to]:
                best[to], back[to] = cost, at
            if strength[at] >= SUBSECTION:
                crossed += (strength[at] - 5) ** 2 / 4
    way = [len(places) - 1]
    while way[-1]:
        way.append(back[way[-1]])
    return [places[at] for at in reversed(way)]


def length_cost(length: int, size: Size) -> float:
    """0 at the best length; a piece of nothing costs about as much as a cut inside a paragraph."""
    if length < size.least:
        return 2 + 12 * ((size.least - length) / size.least) ** 2
    span = size.best - size.least if length < size.best else size.most - size.best
    return 2 * ((length - size.best) / span) ** 2 if span else 0.0


def borders(text: str, form: str, outline: list[tuple[int, int, str]], size: Size) -> dict[int, float]:
    """Where the text may be cut, and how natural that is. No gap between two is longer than `size.most`."""
    found = code_borders(text, form.partition(":")[2]) if form.startswith("code") else prose_borders(text, form)
    if not form.startswith("code"):
        depths = sorted({depth for _, depth, _ in outline})
        for place, depth, _ in outline:
            found[place] = (CHAPTER, SECTION, SUBSECTION)[min(2, depths.index(depth))]
    return filled(text, found, size)


def filled(text: str, found: dict[int, float], size: Size) -> dict[int, float]:
    """`found`, and in every stretch too long for one piece also its words, then any place."""
    for pattern, strength in ((r"\s+", WORD), (r"(?s).", ANYWHERE)):
        places = [0, *sorted(found), len(text)]
        for before, after in pairwise(places):
            if after - before > size.most // 2:
                step = pattern if strength == WORD else f"(?s).{{{max(1, size.least // 2)}}}"
                for match in re.finditer(step, text[before:after]):
                    found.setdefault(before + match.end(), strength)
    return found


def prose_borders(text: str, form: str) -> dict[int, float]:
    """Paragraphs, turns, lines of lists and tables, and sentences; code between fences is left whole if it can be."""
    found: dict[int, float] = {}
    place, fenced, empty, before = 0, False, True, ""
    for line in rows(text):
        fence = FENCE.match(line)
        if line.strip() and place and not fenced:
            if TURN.match(line) and form == "dialogue":
                found[place] = PARAGRAPH
            elif empty:
                leads_in = before.rstrip().endswith((":", "::")) or HEADING.match(before) or line.startswith(("    ", "\t"))
                found[place] = CONTINUED if leads_in else PARAGRAPH
                if HEADING.match(before):
                    found[place] = SENTENCE
            elif not line.startswith("|") or (before.startswith("|") and not line.startswith("| ---")):
                found[place] = LINE if re.match(r"\s*(?:[-*+|•]|\d+[.)])", line) else SENTENCE - 0.3
        if not fenced and not fence and not line.startswith("|"):
            for match in SENTENCE_END.finditer(line):
                if match.end() < len(line) and not ABBREVIATION.search(line[: match.start() + 1]):
                    found.setdefault(place + match.end(), SENTENCE)
        fenced ^= bool(fence)
        empty = not line.strip()
        before = line.rstrip("\n") if line.strip() else before
        place += len(line)
    return found


def code_borders(text: str, language: str) -> dict[int, float]:
    """Definitions by Python's own parser, elsewhere by keyword and indentation; then statements, empty lines, lines."""
    found: dict[int, float] = {}
    place, empty = 0, False
    for line in rows(text):
        if line.strip() and place:
            indent = len(line) - len(line.lstrip())
            closes = bool(re.match(r"\s*(?:[)}\]]|end\b|else|elif|except|finally|catch)", line))
            if closes:
                found[place] = WORD
            elif empty:
                found[place] = PARAGRAPH if indent == 0 else LINE
            else:
                found[place] = WORD + (0.5 if indent == 0 else 0)
            if empty and not closes and DEFINITION.match(line):
                found[place] = SECTION if indent == 0 else SUBSECTION
        empty = not line.strip()
        place += len(line)
    if language == "python":
        found |= python_borders(text)
    return found


def rows(text: str) -> list[str]:
    """Lines with their ends; only `\\n` ends one, as Python's parser has it."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def python_borders(text: str) -> dict[int, float]:
    """Starts of functions, classes and methods, decorators and the comments above them included."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines = rows(text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: dict[int, float] = {}

    def visit(body: list[ast.stmt], depth: int) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                row = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
                while 0 < row <= len(lines) and lines[row - 1].lstrip().startswith("#"):
                    row -= 1
                if 0 < row < len(lines):
                    found[starts[row]] = SECTION if depth == 0 else SUBSECTION
                if isinstance(node, ast.ClassDef) and depth < 3:
                    visit(node.body, depth + 1)

    visit(tree.body, 0)
    return found


def headings(text: str, form: str) -> Iterator[tuple[int, int, str]]:
    """(place, depth, title) of each heading; in code, of each class or function at the left margin."""
    place, fenced = 0, False
    before_empty = True
    for line in rows(text):
        bare = line.strip()
        if FENCE.match(line):
            fenced = not fenced
        elif form.startswith("code"):
            if (match := DEFINITION.match(line)) and not match[1]:
                yield place, 1, bare.rstrip("{: ")
        elif not fenced and (match := HEADING.match(line.rstrip("\n"))):
            yield place, len(match[1]), match[2].strip("*_ ")
        elif form == "txt" and before_empty and len(bare) < 100 and (PLAIN_HEADING.fullmatch(bare) or shouted(bare)):
            yield place, 1 if PLAIN_HEADING.fullmatch(bare) else 2, bare
        before_empty = not bare
        place += len(line)


def shouted(line: str) -> bool:
    """A line all in capitals, long enough to be a heading and not a number or a signature."""
    return len(re.findall(r"[^\W\d_]", line)) > 6 and line.isupper() and not line.endswith((".", ",", ";", "|"))


def named(outline: list[tuple[int, int, str]], text: str, start: int, title: str) -> str:
    """The way of headings to `start`, the document's own title first: `Book › Chapter II › Tides`."""
    path: list[tuple[int, str]] = []
    opening = re.match(r"\s*", text[start:])
    at = start + (opening.end() if opening else 0)
    for place, depth, heading in outline:
        if place > at:
            break
        path = [step for step in path if step[0] < depth] + [(depth, heading)]
    names = [name for _, name in path]
    if title and names and (title.casefold() in names[0].casefold() or names[0].casefold() in title.casefold()):
        names[0] = min(names[0], title, key=len)
    elif title and title.casefold() not in (name.casefold() for name in names):
        names.insert(0, title)
    return " › ".join(names)[:300]


def context(text: str, start: int) -> str:
    """The last paragraph or lines before `start`, cut at a sentence or a word to a few hundred characters."""
    before = text[max(0, start - 4 * CONTEXT) : start].rstrip()
    if len(before) <= CONTEXT:
        return before
    tail = before[-CONTEXT:]
    ends = [match.end() for match in SENTENCE_END.finditer(tail)] or [match.end() for match in re.finditer(r"\n|\s", tail)]
    return tail[ends[0] :].lstrip() if ends and ends[0] < CONTEXT - 40 else tail.split(None, 1)[-1]
