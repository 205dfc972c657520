"""One file as cleaned texts: what the child process does with each path that it is sent.

    bytes ─▶ sniff (what is it really?) ─▶ a parser per form ─▶ clean ─▶ Record, one a text

A Record's text is what spans count in. Everything that cannot be read raises `Unreadable` with what to do.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from preceptor.corpus.clean import clean, first_line, without_consent, without_gutenberg
from preceptor.corpus.describe import kind_of, licence_of, named_licence
from preceptor.corpus.html import html_text
from preceptor.corpus.openapi import api_text, is_openapi
from preceptor.corpus.sniff import CODE, RECORDS, Unreadable, decoded, form_of
from preceptor.corpus.wrap import unwrapped

LEAST = 40  # characters of a text that is worth a document
LONGEST_LINE = 1500  # mean characters of a line; above it, code is minified or data
RECORD_FACTOR = 64  # files that are read record by record may be so many times larger
TEXT_COLUMNS = (
    "text", "content", "body", "document", "passage", "article", "markdown", "raw_content", "page_content", "story", "context",
    "code",
)  # fmt: skip
SPOKEN = {
    "note", "warning", "tip", "important", "seealso", "caution", "admonition", "versionadded", "versionchanged", "deprecated",
    "quote", "epigraph", "topic",
}  # fmt: skip
"""Directives of reStructuredText whose words are part of the text."""
TALK_COLUMNS = ("messages", "conversation", "conversations", "dialogue", "dialog", "turns")


@dataclass(frozen=True, slots=True)
class Record:
    """One cleaned text of a file."""

    text: str
    form: str = "md"
    """How it splits: md, txt, api, table, dialogue, or code:LANGUAGE."""
    kind: str = "prose"
    title: str = ""
    licence: str = ""
    """Empty: the text does not say."""
    language: str = ""
    """As the file declares it; empty where it does not."""
    part: str = ""
    """Which record of the file: a line or row number. Empty where the file is one text."""
    note: str = ""
    """What its owner should know although it was read. A record with a note and no text carries nothing else."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to read one file. Plain values: it travels as JSON."""

    path: str
    largest: int = 64_000_000
    rows: int = 3000
    """Characters of a table between two repeated headers."""
    text_column: str = ""


def parse(wish: Wish) -> Iterator[Record]:
    """The file's texts, cleaned. Raises Unreadable."""
    path = Path(wish.path)
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("is empty: take it out, or write it again")
    with path.open("rb") as file:
        head = file.read(65_536)
        file.seek(max(0, size - 65_536))
        tail = file.read()
    form, note = form_of(path, head, tail)
    limit = wish.largest * (RECORD_FACTOR if form in RECORDS else 1)
    if size > limit:
        raise Unreadable(f"is {megabytes(size)}, over the limit of {megabytes(limit)}: split it, or raise `largest`")
    found = 0
    for record in checked(FORMS[form](path, wish, tail)):
        found += bool(record.text)
        yield replace(record, note="; ".join(filter(None, (note, record.note))))
        note = ""
    if not found:
        raise Unreadable(f"{note + '; ' if note else ''}holds no text of {LEAST} characters or more")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"


def checked(records: Iterable[Record]) -> Iterator[Record]:
    """The records with enough text. Raises Unreadable for a file whose only text is too short."""
    for record in records:
        if len(record.text) >= LEAST or (record.note and not record.text):
            yield record
        elif not record.part:
            raise Unreadable(f"has only {len(record.text)} characters of text after cleaning; {LEAST} are the least")


def text_of(path: Path) -> tuple[str, str]:
    """The file's text and a note about its encoding. Raises Unreadable where the text is blank."""
    text, note = decoded(path.read_bytes())
    if not text.strip():
        raise Unreadable("holds nothing but blanks: take it out, or write it again")
    return text, note


def read_markdown(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    text, front = front_matter(text.replace("\r\n", "\n"))
    body = paragraphs(clean(without_gutenberg(without_html_tags(clean(text)))))
    stated = named_licence(str(front.get("license") or front.get("licence") or front.get("rights") or ""))
    title = str(front.get("title") or "") or heading_of(body)
    language = str(front.get("language") or front.get("lang") or "")
    yield Record(body, "md", kind_of(body), title, stated or licence_of(text), language[:2].lower(), note=note)


def front_matter(text: str) -> tuple[str, Mapping[str, Any]]:
    """The text without the YAML block that opens it, and what the block says."""
    match = re.match(r"\ufeff?---\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|$)", text, re.S)
    if not match:
        return text, {}
    try:
        import yaml
    except ImportError:  # plain `key: value` lines need no library
        return text[match.end() :], dict(re.findall(r"(?m)^(\w+): *[\"']?(.*?)[\"']?$", match[1]))
    try:
        front = yaml.load(match[1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        front = None
    return (text[match.end() :], front) if isinstance(front, dict) else (text, {})


def without_html_tags(text: str) -> str:
    """Markdown without comments, templating and layout tags, outside code; the words between tags stay."""
    parts = re.split(r"(^ {0,3}(?:```|~~~)[\s\S]*?^ {0,3}(?:```|~~~)|`[^`\n]+`)", text, flags=re.M)
    for at in range(0, len(parts), 2):
        part = re.sub(r"\{\{ *([\"'])([^\"'\n]*)\1 *\|[^}\n]*\}\}", r"\2", parts[at])
        part = re.sub(r"<!--[\s\S]*?-->|\{%[\s\S]*?%\}|\{:\s*[.#][^}\n]*\}", "", part)
        part = re.sub(r"</?(?:div|span|a|img|br|p|center|section|details|summary|font|small|figure|figcaption|button|i|b|em|"
                      r"strong|u|sup|sub|picture|source|hr|ul|ol|li|script|style)\b[^<>]*>", "", part, flags=re.I)  # fmt: skip
        parts[at] = re.sub(r"!\[[^\]\n]*\]\([^)\n]*\)", "", part)
    return "".join(parts)


def paragraphs(text: str) -> str:
    """Markdown-like text with its paragraphs on one line each; verse and talk keep their lines."""
    kind = kind_of(text)
    return text if kind == "verse" else clean(unwrapped(text, "dialogue" if kind == "dialogue" else "md"))


def heading_of(text: str) -> str:
    match = re.search(r"^# +(.+?)\s*#*$", text[:3000], re.M)
    return match[1].strip("*_ ") if match else ""


def read_rst(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    body = paragraphs(restructured(without_mail_fields(clean(text))))
    stated = re.search(r"(?im)^Title: *(.+(?:\n +.+)*)", body[:2000])
    title = " ".join(stated[1].split()) if stated else heading_of(body)
    yield Record(body, "md", kind_of(body), title, licence_of(text), note=note)


def without_mail_fields(text: str) -> str:
    """The text without addresses and bookkeeping in the block of `Field: value` lines that opens it, if one does."""
    head, blank, body = text.partition("\n\n")
    if not re.fullmatch(r"(?:[A-Z][\w-]*:.*(?:\n[ \t]+.*)*(?:\n|$)){3,}", head):
        return text
    fields = re.findall(r"^[A-Z][\w-]*:.*(?:\n[ \t]+.*)*", head, re.M)
    spare = (
        r"(?i)(?:version|content-type|last-modified|post-history|discussions-to|resolution|sponsor|bdfl-delegate|pep-delegate):"
    )
    kept = [re.sub(r" *<[^<>\n]*(?:@| at )[^<>\n]*>", "", one) for one in fields if not re.match(spare, one)]
    return "\n".join(kept) + blank + body


def restructured(text: str) -> str:
    """reStructuredText as Markdown-like text: headings with `#`, roles as their words, directives' marks gone."""
    lines = text.split("\n")
    out: list[str] = []
    depths: list[str] = []
    at = 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        mark = re.fullmatch(r"([=\-~^\"'`#*+.:_])\1{2,}", following)
        over = re.fullmatch(r"([=\-~^\"'`#*+.:_])\1{2,}", line)
        if over and at + 2 < len(lines) and following.strip() and lines[at + 2].rstrip() == line.rstrip():
            out += [heading(following.strip(), "over" + over[1], depths)]
            at += 3
        elif mark and line.strip() and not line.startswith(" ") and len(following) >= len(line.rstrip()) - 3 and not over:
            out += [heading(line.strip(), mark[1], depths)]
            at += 2
        elif re.match(r"\s*\.\. (?!\[)", line):
            at = directive(lines, at, out)
        else:
            out.append(line)
            at += 1
    body = re.sub(r"(?<![\w`]):(pep|rfc):`(\d+)[^`]*`", lambda m: f"{m[1].upper()} {m[2]}", "\n".join(out))
    body = re.sub(r"\[#?([\w-]+)\]_(?!\w)", r"[\1]", body)
    body = re.sub(r":[\w:+-]+:`([^`<]+?)\s*(?:<[^`>]*>)?`", lambda m: m[1].lstrip("~!"), body)
    body = re.sub(r"``([^`\n]+)``", r"`\1`", body)
    body = re.sub(r"`([^`<>\n]+?)\s*<[^`>]+>`__?", r"\1", body)
    body = re.sub(r"^[ \t]*::[ \t]*$\n?", "", body, flags=re.M)
    body = re.sub(r"(\S)::$", r"\1:", body, flags=re.M)
    return clean(body)


def heading(words: str, mark: str, depths: list[str]) -> str:
    if mark not in depths:
        depths.append(mark)
    return "#" * min(6, depths.index(mark) + 1) + " " + words.replace("``", "`")


def directive(lines: list[str], at: int, out: list[str]) -> int:
    """Append what a directive has to say, if anything; the line after it."""
    match = re.match(r"(\s*)\.\. *(?:([\w:+-]+)::)?[ \t]*(.*)$", lines[at])
    assert match is not None
    indent, name, words = len(match[1]), match[2] or "", match[3]
    end = at + 1
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    block = lines[at + 1 : end]
    spoken = name in SPOKEN
    if name in ("code-block", "code", "sourcecode", "parsed-literal") or spoken:
        while block and (not block[0].strip() or re.match(r"\s+:[\w-]+:", block[0])):
            block.pop(0)
        lead = " ".join(filter(None, (name.capitalize() + ":" if spoken else "", words if spoken else "")))
        out += ["", lead, "", *block] if lead else ["", *block]
    return end


def read_plain(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    body = clean(without_gutenberg(clean(text)))
    kind = kind_of(body)
    form = "dialogue" if kind == "dialogue" else "txt"
    if kind != "verse":
        body = clean(unwrapped(body, form))
    yield Record(body, form, kind, gutenberg_title(text) or first_line(body, 80), licence_of(text), note=note)


def gutenberg_title(text: str) -> str:
    match = re.search(r"(?m)^Title: *(\S.*)$", text[:3000]) if "Project Gutenberg" in text[:2000] else None
    return match[1].strip() if match else ""


def read_html(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    data = path.read_bytes()
    declared = re.search(rb"charset=[\"']?([\w-]+)", data[:4000], re.I)
    source, note = decoded(data, declared[1].decode() if declared else "")
    text, title, licence = html_text(source)
    body = clean(without_gutenberg(without_consent(clean(text))))
    if re.search(r"<body", source, re.I) and not re.search(r"</(?:body|html)>\s*(?:<!--|$)", source[-3000:], re.I):
        note = "; ".join(filter(None, (note, "ends without </html>: perhaps cut off")))
    stated = licence_of(licence) if licence else ""
    yield Record(body, "md", kind_of(body), clean(title) or heading_of(body), stated or licence_of(text), note=note)


def read_pdf(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    if b"%%EOF" not in tail:
        raise Unreadable("is cut off (a PDF ends with %%EOF): download or export it again")
    try:
        from preceptor.corpus.pdf import PdfTrouble, pdf_text

        text, title = pdf_text(str(path))
    except ImportError as error:
        raise Unreadable('needs pypdfium2: type  pip install "preceptor[docs]"') from error
    except PdfTrouble as trouble:
        raise Unreadable(str(trouble)) from trouble
    body = clean(without_gutenberg(clean(text)))
    title = re.sub(r"^The Project Gutenberg eBook(?: #\d+)?[:,] *|\.$", "", title)
    yield Record(body, "md", kind_of(body), clean(title) or heading_of(body) or first_line(body, 80), licence_of(text))


def read_docx(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    try:
        from kreuzberg import ExtractionConfig, extract_file_sync
    except ImportError as error:
        raise Unreadable('needs kreuzberg: type  pip install "preceptor[docs]"') from error
    try:
        result = extract_file_sync(
            str(path),
            mime_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            config=ExtractionConfig(use_cache=False, output_format="markdown", disable_ocr=True),
        )
    except Exception as error:  # kreuzberg's Rust errors share no base with the Python ones
        raise Unreadable(f"cannot be read as .docx ({first_line(str(error), 100)}): open and save it again") from error
    text = clean(re.sub(r"\\([\\`*_{}\[\]()#+\-.!|=~$&<>])", r"\1", without_html_tags(result.content)))
    title = str(result.metadata.get("title") or "") or heading_of(text) or first_line(text, 80)
    yield Record(text, "md", kind_of(text), title, licence_of(text))


def read_code(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    text = clean(text, code=True)
    if len(text) / (text.count("\n") + 1) > LONGEST_LINE:
        raise Unreadable("is minified or generated (no lines a person would write): name its source instead")
    language = CODE.get(path.suffix.lower(), "")
    opening = re.match(r'(?:\s*#.*\n|\s)*[rRuU]*("""|\'\'\')([\s\S]*?)\1', text) if language == "python" else None
    summary = first_line(opening[2], 90) if opening else ""
    title = path.name + (f": {summary}" if summary and not summary.startswith("http") else "")
    yield Record(text, f"code:{language}", "code", title, licence_of(text), note=note)


def read_yaml(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = next(iter(yaml.load_all(text, Loader=loader)), None)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise Unreadable(f"is not YAML{place} (cut off?): mend it there, or save it as .txt") from error
    yield replace(structured(tree, text, path), note=note)


def structured(tree: Any, text: str, path: Path) -> Record:
    """An API description rendered; any other tree as its own text, read like code."""
    if not is_openapi(tree):
        return Record(clean(text, code=True), "code:", "code", path.name, licence_of(text))
    body, title, licence = api_text(tree)
    return Record(clean(body), "api", "api", clean(title), named_licence(licence) or licence_of(text))


def read_json(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        if line == 2 and text.lstrip().startswith("{"):
            raise Unreadable("holds one JSON value a line: rename it to .jsonl") from error
        end = " (cut off)" if text.rstrip()[-1] not in "]}" else ""
        raise Unreadable(f"is not JSON{end}: mend it at line {line}" if line else "is not JSON: too deeply nested") from error
    if is_openapi(tree) or not isinstance(tree, list | dict):
        yield replace(structured(tree, text, path), note=note)
        return
    rows = tree if isinstance(tree, list) else held(tree)
    if not rows or not all(isinstance(row, dict) for row in rows):
        yield replace(structured(tree, json.dumps(tree, ensure_ascii=False, indent=1), path), note=note)
    elif not column(rows[0], wish) and not talk_column(rows[0]) and flat(rows):
        names = list(dict.fromkeys(str(key) for row in rows for key in row))
        yield table_record([names, *([scalar(row.get(name)) for name in names] for row in rows)], path, wish, note)
    else:
        yield from from_rows(enumerate(rows, 1), wish, note)


def held(tree: Mapping[str, Any]) -> list[Any]:
    """The rows that a JSON object holds: its one list of objects, or itself where it has a text."""
    lists = [value for value in tree.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists) == 1 and not talk_column(tree):
        return lists[0]
    return [tree] if column(tree, Wish("")) or talk_column(tree) else []


def flat(rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [value for row in rows[:50] for value in row.values()]
    return len(rows) > 2 and all(not isinstance(v, list | dict) and len(str(v)) < 300 for v in values)


def read_jsonl(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    broken: list[int] = []

    def rows() -> Iterator[tuple[int, Any]]:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip(b" \t\r\n\xef\xbb\xbf"):
                    continue
                try:
                    yield number, json.loads(decoded(line)[0])
                except (ValueError, RecursionError):
                    broken.append(number)
                    if len(broken) > 100 and len(broken) > 0.5 * number:
                        raise Unreadable(f"is not JSON Lines (line {broken[0]} is no JSON value): mend it there") from None

    count = 0
    for record in from_rows(rows(), wish, ""):
        count += 1
        yield record
    if broken and not count:
        raise Unreadable(f"is not JSON Lines (line {broken[0]} is no JSON value): mend it there")
    if broken:
        lines = ", ".join(map(str, broken[:5])) + (" …" if len(broken) > 5 else "")
        yield Record("", note=f"{len(broken)} lines are no JSON (cut off?) and were left out: {lines}")


def read_parquet(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    if not tail.endswith(b"PAR1"):
        raise Unreadable("is cut off (a Parquet file ends with PAR1): write or download it again")
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise Unreadable('needs pyarrow: type  pip install "preceptor[parquet]"') from error
    try:
        file = parquet.ParquetFile(path)
        batches = file.iter_batches(batch_size=128)
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from from_rows(enumerate(rows, 1), wish, "")
    except (arrow.ArrowException, OSError) as error:
        raise Unreadable(f"is damaged ({first_line(str(error), 100)}): write or download it again") from error


def from_rows(rows: Iterable[tuple[int, Any]], wish: Wish, note: str) -> Iterator[Record]:
    """A Record for each row with a text. Raises Unreadable where no column is known to hold it."""
    for number, row in rows:
        if isinstance(row, str):
            row = {"text": row}
        if not isinstance(row, dict):
            continue
        name, talk = column(row, wish), talk_column(row)
        if not name and not talk:
            raise Unreadable(
                f"has no column with a known name for its text ({', '.join(TEXT_COLUMNS[:5])} …); its columns are "
                f'{", ".join(map(str, list(row)[:12])) or "none"}: say which one, text_column = "…"'
            )
        said = {str(key).lower(): value for key, value in row.items()}
        text = clean(str(row[name])) if name else clean(spoken(row[talk]))
        kind = kind_of(text) if name else "dialogue"
        title = next((str(said[k]) for k in ("title", "heading", "headline") if said.get(k)), "") or heading_of(text)
        stated = next((str(said[k]) for k in ("license", "licence", "rights") if said.get(k)), "")
        told = next((str(said[k]) for k in ("language", "lang") if said.get(k)), "")
        language = told.lower()[:2] if re.fullmatch(r"[a-z]{2}(?:[-_]\w+)?", told.lower()) else ""
        form = "dialogue" if kind == "dialogue" else "md"
        yield Record(text, form, kind, clean(title)[:200], named_licence(stated), language, str(number), note)
        note = ""


def column(row: Mapping[str, Any], wish: Wish) -> str:
    """The column that holds the text: the one asked for, else the first with a known name; empty for none."""
    if wish.text_column:
        return wish.text_column if isinstance(row.get(wish.text_column), str) else ""
    by_name = {str(key).lower(): str(key) for key, value in row.items() if isinstance(value, str)}
    return next((by_name[name] for name in TEXT_COLUMNS if name in by_name), "")


def talk_column(row: Mapping[str, Any]) -> str:
    return next((str(key) for key, value in row.items() if str(key).lower() in TALK_COLUMNS and isinstance(value, list)), "")


def spoken(turns: Sequence[Any]) -> str:
    """Turns of a conversation as `Name: words`, an empty line between two."""
    said = []
    for turn in turns:
        if isinstance(turn, dict):
            who = turn.get("role") or turn.get("from") or turn.get("speaker") or turn.get("name") or "Speaker"
            words = turn.get("content") or turn.get("value") or turn.get("text") or turn.get("utterance") or ""
            said.append(f"{str(who).capitalize()}: {words if isinstance(words, str) else json.dumps(words)}")
        else:
            said.append(str(turn))
    return "\n\n".join(said)


def read_csv(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    csv.field_size_limit(10_000_000)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
    dialect.doublequote = True
    try:
        table = [row for row in csv.reader(io.StringIO(text.replace("\0", "")), dialect) if any(map(str.strip, row))]
    except csv.Error as error:
        raise Unreadable(f"is not CSV ({error}): save it again with quoted fields") from error
    if not table or max(map(len, table)) < 2:
        body = clean(text)
        yield Record(
            body, "txt", kind_of(body), path.stem, note="; ".join(filter(None, (note, "has one column: read as text")))
        )
        return
    names = [name.strip() for name in table[0]]
    rows = [dict(zip(names, row, strict=False)) for row in table[1:]]
    name = column(rows[0], wish) if rows else ""
    if name and (wish.text_column or sum(len(row.get(name) or "") for row in rows) > 200 * len(rows)):
        yield from from_rows(enumerate(rows, 2), wish, note)
        return
    yield table_record(table, path, wish, note)


def table_record(table: Sequence[Sequence[str]], path: Path, wish: Wish, note: str) -> Record:
    """A table in pipes; its head comes again about every `wish.rows` characters, before an empty line a cut is natural."""
    width = max(map(len, table))
    ragged = sum(len(row) != len(table[0]) for row in table)
    lines = ["| " + " | ".join(cell(value) for value in [*row, *[""] * (width - len(row))]) + " |" for row in table]
    head = [lines[0], "|" + " --- |" * width]
    blocks: list[list[str]] = [[*head]]
    for line in lines[1:]:
        if sum(map(len, blocks[-1])) + len(line) > wish.rows and len(blocks[-1]) > 2:
            blocks.append([*head])
        blocks[-1].append(line)
    body = clean("\n\n".join("\n".join(block) for block in blocks))
    if ragged:
        note = "; ".join(filter(None, (note, f"{ragged} rows have more or fewer cells than the first")))
    return Record(body, "table", "table", path.stem.replace("_", " ").replace("-", " "), note=note)


def cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def read_notebook(path: Path, wish: Wish, tail: bytes) -> Iterator[Record]:
    text, note = text_of(path)
    try:
        cells = json.loads(text)["cells"]
        parts = [("".join(c["source"]), c.get("cell_type")) for c in cells]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable("is not a notebook (no cells): export it again, or as .md") from error
    body = "\n\n".join(f"```python\n{words}\n```" if kind == "code" else words for words, kind in parts if words.strip())
    body = clean(without_html_tags(clean(body)))
    yield Record(body, "md", "prose", heading_of(body) or path.stem, licence_of(body), note=note)


FORMS = {
    "md": read_markdown, "rst": read_rst, "txt": read_plain, "html": read_html, "pdf": read_pdf, "docx": read_docx,
    "csv": read_csv, "json": read_json, "jsonl": read_jsonl, "parquet": read_parquet, "yaml": read_yaml, "code": read_code,
    "ipynb": read_notebook,
}  # fmt: skip
