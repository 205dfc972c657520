"""Builders of edits to the shape of a text: layout, order, tables, contents lists, citations, subtitles."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import orjson

from preceptor.checks.edit import order_key
from preceptor.checks.form import HEADING, records
from preceptor.checks.text import dates, numbers, plain_sentences, sentences, settled
from preceptor.draws import draw, one, shuffled
from preceptor.skills.text_modification.building import (
    KindLike,
    Unfit,
    language_of,
    passage,
    request_for,
    task,
)
from preceptor.types import Instruction, Material


def layout(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Numbers before paragraphs, quote marks before lines, a sentence a line, bullets, or lines of a given width."""
    text = passage(material, kind, seed)
    plain = plain_sentences(" ".join(text.split()))
    drawn = (seed, kind.name, material.id)
    width = one([48, 56, 60, 64, 72], *drawn, "width")
    pieces = text.split("\n\n")
    golds: dict[str, str] = {"quoted": "\n".join(("> " + line).rstrip() for line in text.split("\n"))}
    if len(pieces) > 1 and not re.search(r"^\s*\d+[.)] ", text, re.M):
        golds["numbered_paragraphs"] = "\n\n".join(f"{i}. {p}" for i, p in enumerate(pieces, 1))
    if plain and len(plain) > 2:
        golds["one_sentence_a_line"] = "\n".join(plain)
        golds["bulleted_sentences"] = "\n".join(f"- {s}" for s in plain)
    loose = [p for p in pieces if " ".join(p.split()) != p.replace("\n", " ")]
    if not loose and not re.search(r"^\s*(?:[-*>|#]|\d+[.)])", text, re.M) and max(map(len, text.split())) <= width:
        golds["wrapped"] = "\n\n".join(filled(p, width) for p in pieces)
    name = one(sorted(n for n in golds if golds[n] != text), *drawn, "layout")
    said = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])[name].format(n=width)
    says = {"wrapped": [str(width)], "quoted": [">"], "numbered_paragraphs": ["1."], "bulleted_sentences": ["-"]}
    return task(material, kind, request_for(kind, material, seed, rule=said), text, golds[name], says.get(name, []),
                layout={"name": name, "n": width}, rule=said)


def filled(paragraph: str, width: int) -> str:
    """The paragraph in lines of at most `width` characters, each as full as whole words allow."""
    return "\n".join(textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False))


def subtitles(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A short passage in blocks of lines that a viewer can read in time."""
    drawn = (seed, kind.name, material.id)
    width, lines = one([30, 32, 36, 37, 40, 42], *drawn, "width"), one([1, 2], *drawn, "lines")
    text = passage(material, kind, seed, most=700, without=rf"[|#>*_`<]|^\s*(?:[-•]|\d+[.)])\s|\S{{{width + 1},}}")
    broken = filled(" ".join(text.split()), width).split("\n")
    blocks = ["\n".join(broken[i : i + lines]) for i in range(0, len(broken), lines)]
    said = kind.data["blocks"].get(language_of(material), kind.data["blocks"]["en"])[lines - 1]
    request = request_for(kind, material, seed, width=width, blocks=said)
    return task(material, kind, request, text, "\n\n".join(blocks), [str(width), *([str(lines)] if lines > 1 else [])],
                subtitles={"width": width, "lines": lines})


def restructure(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A table as JSON, JSON lines, YAML, a Markdown table or bullets; every value stays a string as it is written."""
    text = table_of(material.text)
    rows = records(text)
    if not rows:
        raise Unfit("no table of three lines or more")
    cells = [c for r in rows for pair in r.items() for c in pair]
    forms = [f for f in kind.data["forms"] if not (f == "markdown" and ("|" in "".join(cells) or "|" in text))]
    forms = [f for f in forms if f != "bullets" or not any("; " in c or ": " in c or not c for c in cells)]
    forms = [f for f in forms if f != "yaml" or not any(re.search(r"[:\"\n]", key) for key in rows[0])]
    form = one(forms, seed, kind.name, material.id, "form")
    said = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])[form]
    need = {"json": "JSON", "jsonl": "JSON", "yaml": "YAML", "markdown": "Markdown", "bullets": "; "}[form]
    return task(material, kind, request_for(kind, material, seed, rule=said), text, written(rows, form), [need.strip()],
                form=form, rule=said)


def table_of(text: str) -> str:
    """The first table of a text as it stands there: Markdown lines, or the whole text where it is CSV."""
    lines = settled(text).split("\n")
    for i, line in enumerate(lines[:-2]):
        if "|" in line and re.fullmatch(r"[\s|:-]*-[\s|:-]*", lines[i + 1]):
            end = next((j for j in range(i + 2, len(lines)) if "|" not in lines[j]), len(lines))
            return "\n".join(lines[i : min(end, i + 26)])
    return "\n".join(lines[:25]) if records("\n".join(lines[:25])) else ""


def written(rows: Sequence[Mapping[str, str]], form: str) -> str:
    """The records in that form, one plain way of several that a reader would take."""
    def quote(value: object) -> str:
        return orjson.dumps(value).decode()

    match form:
        case "json":
            return orjson.dumps([dict(r) for r in rows], option=orjson.OPT_INDENT_2).decode()
        case "jsonl":
            return "\n".join(quote(dict(r)) for r in rows)
        case "yaml":
            entries = [[f"{key}: {quote(value)}" for key, value in r.items()] for r in rows]
            return "\n".join("- " + "\n  ".join(entry) for entry in entries)
        case "bullets":
            return "\n".join("- " + "; ".join(f"{key}: {value}" for key, value in r.items()) for r in rows)
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(list(r.values()) for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def reorder(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Entries whose dates, years or first numbers differ, or list items, shuffled; gold is the order asked for."""
    text = settled(material.text)
    bullets = re.findall(r"^\s*[-*•] +(\S.*)$", text, re.M)
    entries = [" ".join(s.split()) for s in sentences(text) if not re.match(r"\s*(?:[-*#>|]|\d+[.)])", s)]
    able: dict[str, list[str]] = {
        "date": [s for s in entries if len(dates(s)) == 1],
        "year": [s for s in entries if len(set(re.findall(r"(?<!\d)(?:1[0-9]|20)\d\d(?!\d)", s))) == 1],
        "number": [s for s in entries if len(numbers(s)) == 1 and re.fullmatch(r"\d+(?:\.\d+)?", numbers(s)[0])],
        "alphabetical": bullets,
    }
    for by in draw(sorted(able), seed, kind.name, material.id, "by", k=4):
        lines = _distinct(able[by], by)[:9]
        if len(lines) >= 4:
            break
    else:
        raise Unfit("fewer than four entries with a date, year or number of their own, and no list")
    descending = one([False, True], seed, kind.name, material.id, "descending")
    right = sorted(lines, key=lambda line: order_key(line, by), reverse=descending)
    mixed = next(m for turn in range(9) if (m := shuffled(lines, seed, "mixed", material.id, turn)) != right)
    rules = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])
    said = rules[by][1 if descending else 0]
    return task(material, kind, request_for(kind, material, seed, rule=said), "\n".join(mixed), "\n".join(right), [],
                order={"by": by, "descending": descending}, rule=said)


def _distinct(lines: Sequence[str], by: str) -> list[str]:
    """The lines whose keys and wordings are their own, in their order; short ones only."""
    keys = [order_key(line, by) for line in lines]
    short = [(line, key) for line, key in zip(lines, keys) if len(line) < 260 and key is not None and keys.count(key) == 1]
    plain = [line for line, key in short if by != "alphabetical" or (str(key).isascii() and line[:1].isalnum())]
    return list(dict.fromkeys(plain))


def contents_list(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A list of all headings, each at its depth, before the text or after its title."""
    text = settled(material.text)
    heads = list(HEADING.finditer(text))
    if len(heads) > 1 and len(text) > 4000:
        cut = max((h.start() for h in heads if h.start() <= 4000), default=0)
        text = settled(text[:cut])
        heads = list(HEADING.finditer(text))
    if len(heads) < 3 or "```" in text or any(re.search(r"[`*\[\]<>_#]", h[2]) for h in heads):
        raise Unfit("fewer than three plain Markdown headings")
    least = min(len(h[1]) for h in heads)
    listed = "\n".join(f"{'  ' * (len(h[1]) - least)}- {h[2]}" for h in heads)
    if any(line in text.split("\n") for line in listed.split("\n")):
        raise Unfit("the text lists its headings already")
    gold = f"{listed}\n\n{text}"
    return task(material, kind, request_for(kind, material, seed), text, gold, [], contents=True)


CITED = re.compile(r" \(([A-ZÀ-Þ][^()\d;]{1,50},? \d{4}[a-z]?)\)")


def citation_style(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Author and year in brackets become numbers by first mention, with a list at the end.

    A text that cites nothing gets invented sources at the ends of some sentences, one of them twice.
    """
    text = passage(material, kind, seed, without=r"\[|```|^\s*\|")
    if len(dict.fromkeys(CITED.findall(text))) < 2:
        text = _cited(text, material, kind, seed)
    found = list(dict.fromkeys(CITED.findall(text)))
    heading = one(kind.data.get(f"headings_{language_of(material)}") or kind.data["headings"], seed, kind.name, material.id)
    body = CITED.sub(lambda m: f" [{found.index(m[1]) + 1}]", text)
    gold = f"{body}\n\n{heading}\n" + "\n".join(f"[{i}] {entry}" for i, entry in enumerate(found, 1))
    return task(material, kind, request_for(kind, material, seed, heading=heading), text, gold, [heading],
                list_heading=heading)


def _cited(text: str, material: Material, kind: KindLike, seed: str) -> str:
    """The text with invented sources, author and year in brackets, before the full stops of four or five sentences."""
    if CITED.search(text) or re.search(r"\([^)]*\d{4}[a-z]?\)", text):
        raise Unfit("a single source is cited by author and year")
    drawn = (seed, kind.name, material.id)
    ends = [s for s in sentences(text) if re.search(r"\w\.$", s) and len(s.split()) > 5 and "\n" not in s]
    able = [s for s in ends if text.count(s) == 1]
    if len(able) < 4:
        raise Unfit("fewer than four sentences that a source could stand behind")
    places = sorted(draw(able, *drawn, "places", k=one([4, 5], *drawn, "count")), key=text.index)
    authors = draw(list(kind.data["authors"]), *drawn, "authors", k=len(places) - 1)
    sources = [f"{author}, {one(range(1986, 2024), *drawn, author, name=str)}" for author in authors]
    sources.insert(one(range(2, len(places)), *drawn, "again", name=str), sources[0])
    for sentence, cited in zip(places, sources):
        text = text.replace(sentence, f"{sentence[:-1]} ({cited}).")
    return text
