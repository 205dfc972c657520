"""Tables that code makes of any document: its sections, its functions, its terms, with figures counted from the text.

They give kinds with computed gold something to ask about where the documents themselves hold no table. Every cell is counted or
copied from the document, so that no two documents share a table.
"""

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from preceptor.draws import digest, draw
from preceptor.types import Document

WORD = re.compile(r"[A-Za-z][A-Za-z'’]+")
HEADING = re.compile(r"^#{1,4} +(.+?)\s*$", re.M)
NOUNS: Mapping[str, Mapping[str, str]] = {
    "training": {"section": "section", "function": "function", "term": "term"},
    "exam": {"section": "heading", "function": "routine", "term": "keyword"},
}
"""What the first column is called. Exams have nouns of their own: no function built on a table is known from training."""
ROWS = (5, 6)
FIGURES = 1
LONGEST_NAME = 32
Record = Mapping[str, str]


def sheets(source: str, pieces: Sequence[Document], seed: str, most: int = 4, nouns: str = "training") -> list[Document]:
    """Up to `most` small tables of one file, as documents of kind `table` with the file's own source and licence."""
    text = "\n\n".join(piece.text for piece in pieces)
    code = pieces[0].kind == "code"
    kinds = {"function": functions(text) if code else [], "section": [] if code else sections(text), "term": terms(text)}
    made: list[Document] = []
    for number in range(most):
        able = [name for name, records in kinds.items() if len(records) >= ROWS[0]]
        if not able:
            break
        name = able[number % len(able)]
        records = [{NOUNS[nouns].get(key, key): value for key, value in r.items()} for r in kinds[name]]
        made.append(sheet(NOUNS[nouns][name], records, pieces[0], source, (seed, "sheet", source, number)))
    return list({document.text: document for document in made}.values())


def sheet(name: str, records: Sequence[Record], piece: Document, source: str, place: tuple[object, ...]) -> Document:
    """One table: drawn rows, the name, one column of words and two of figures."""
    size = draw(ROWS, *place, "size")[0]
    rows = draw(list(records), *place, "rows", k=size, name=lambda r: r[name])
    figures = [c for c in records[0] if c != name and all(re.fullmatch(r"\d+", r[c]) for r in records)]
    others = [c for c in records[0] if c != name and c not in figures]
    columns = [name, *draw(others, *place, "words", k=1), *draw(figures, *place, "figures", k=FIGURES)]
    lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title = re.sub(r"\W+", " ", source.rsplit("/", 1)[-1].rsplit(".", 1)[0]).strip()
    return Document(digest("sheet", text), text, source, (0, len(text)), "table", "en", piece.domain, piece.licence, title)


def sections(text: str) -> list[Record]:
    """The headed sections of a text."""
    heads = list(HEADING.finditer(text))
    found: dict[str, Record] = {}
    for head, after in zip(heads, [*heads[1:], None], strict=False):
        body = text[head.end() : after.start() if after else len(text)]
        words = WORD.findall(body)
        name = cell(head[1])
        if len(words) < 12 or not 3 <= len(name) <= LONGEST_NAME:
            continue
        found.setdefault(
            name,
            {
                "section": name,
                "first word": words[0],
                "longest word": max(words, key=len),
                "words": str(len(words)),
                "commas": str(body.count(",")),
                "paragraphs": str(len([p for p in body.split("\n\n") if p.strip()])),
                "full stops": str(body.count(".")),
            },
        )
    return list(found.values())


def functions(text: str) -> list[Record]:
    """The functions of Python source; none where it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found: dict[str, Record] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and len(node.name) <= LONGEST_NAME and not node.name.startswith("__"):
            body = list(ast.walk(node))
            arguments = [a.arg for a in node.args.args] or ["none"]
            found.setdefault(
                node.name,
                {
                    "function": node.name,
                    "first argument": arguments[0],
                    "starts on line": str(node.lineno),
                    "lines": str((node.end_lineno or node.lineno) - node.lineno + 1),
                    "calls": str(sum(isinstance(n, ast.Call) for n in body)),
                    "names": str(sum(isinstance(n, ast.Name) for n in body)),
                },
            )
    return list(found.values())


def terms(text: str) -> list[Record]:
    """The longer words of a text that come more than once, as an index would list them."""
    lines = text.splitlines()
    counts = Counter(w.lower() for w in WORD.findall(text) if len(w) > 5 and w.isascii() and w.isalpha())
    often = [w for w, n in counts.most_common(60) if n > 1]
    found: list[Record] = []
    for word in often:
        first = next((i for i, line in enumerate(lines, 1) if word in line.lower()), 0)
        before = re.search(rf"(\w+)\W+{word}", text, re.I)
        found.append(
            {
                "term": word,
                "word before it": cell(before[1]).lower() if before else "none",
                "times": str(counts[word]),
                "first line": str(first),
                "lines with it": str(sum(word in line.lower() for line in lines)),
            }
        )
    return found


def cell(text: str) -> str:
    """A text that can stand in a cell."""
    return re.sub(r"[*_`|\\]", "", " ".join(text.split())).strip(" .:#")
