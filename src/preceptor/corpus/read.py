"""Files into documents: found, parsed apart, split, described, and duplicates dropped; each file leaves one line.

    paths ─▶ find ─▶ child (sniff, parse, clean) ─▶ split ─▶ describe ─▶ dedup ─▶ Document, Document, … FileLine

The same files give the same documents in the same order (by source, then place), whatever the file system says.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.corpus.child import Parsers
from preceptor.corpus.dedup import Known, Twin
from preceptor.corpus.describe import LICENCE_FILES, domains_of, kind_of, language_of, licence_of, words_of_code
from preceptor.corpus.find import Found, found, there_is, unreachable
from preceptor.corpus.parse import Record, Wish
from preceptor.corpus.sniff import Unreadable
from preceptor.corpus.split import Size, split
from preceptor.draws import digest
from preceptor.errors import DocumentError
from preceptor.types import Document

LARGEST = 64_000_000


@dataclass(frozen=True, slots=True)
class FileLine:
    """What became of one file."""

    source: str
    documents: int
    """How many documents it gave, duplicates left out."""
    reason: str = ""
    """Why it gave none, or what its owner should know; empty where all is well."""
    kind: str = ""
    """The kind of most of its documents; empty where there are none."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All that was read, in order; `known` lets a later corpus leave out what is here."""

    documents: tuple[Document, ...]
    lines: tuple[FileLine, ...]
    known: Known = field(default_factory=Known, compare=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """Stands for the documents and their order."""
        return digest("corpus", *(document.id for document in self.documents))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read: what the arguments of `stream` and `read` become."""

    licence: str
    language: str
    size: Size
    largest: int
    text_column: str


def read(
    paths: Sequence[str | Path] | str | Path,
    *,
    root: str | Path | None = None,
    licence: str = "unknown",
    language: str = "",
    size: Size | None = None,
    largest: int = LARGEST,
    text_column: str = "",
    known: Known | None = None,
) -> Corpus:
    """Everything at `paths` as one Corpus; see `stream` for the arguments.

    Raises DocumentError where nothing at all could be read. What is only repeated from `known` is no error.
    """
    known = Known() if known is None else known
    documents: list[Document] = []
    lines: list[FileLine] = []
    options = {"licence": licence, "language": language, "text_column": text_column}
    for one in stream(paths, root=root, size=size, largest=largest, known=known, **options):
        if isinstance(one, Document):
            documents.append(one)
        else:
            lines.append(one)
    if not documents and not any(" documents repeat " in line.reason for line in lines):
        raise DocumentError(nothing(listed(paths), lines))
    return Corpus(tuple(documents), tuple(lines), known)


def stream(
    paths: Sequence[str | Path] | str | Path,
    *,
    root: str | Path | None = None,
    licence: str = "unknown",
    language: str = "",
    size: Size | None = None,
    largest: int = LARGEST,
    text_column: str = "",
    known: Known | None = None,
) -> Iterator[Document | FileLine]:
    """Documents in order, after each file's documents its FileLine; only one file's text lies in memory.

    paths: files, folders, globs. root: what sources are relative to (default: the deepest folder that holds them all).
    licence: for files that state none. language: given, it is not looked for. largest: bytes of one file; 64 times as
    much for csv, jsonl and parquet. text_column: the column of csv, json(l) and parquet that holds the text. known: what
    was read before; it is added to, and what repeats it is dropped.
    Raises DocumentError for a path that is not there, before anything is read.
    """
    files = found(listed(paths), root)
    settings = Settings(licence, language, size or Size(), largest, text_column)
    return streamed(files, settings, Known() if known is None else known)


def listed(paths: Sequence[str | Path] | str | Path) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)


def streamed(files: list[Found], settings: Settings, known: Known) -> Iterator[Document | FileLine]:
    licences: dict[Path, str] = {}
    with Parsers() as parsers:
        for file in files:
            if file.reason:
                yield FileLine(file.source, 0, file.reason)
                continue
            yield from one_file(file, settings, known, parsers, licences)


def one_file(
    file: Found, settings: Settings, known: Known, parsers: Parsers, licences: dict[Path, str]
) -> Iterator[Document | FileLine]:
    """The file's documents that are new, then its line."""
    kinds: Counter[str] = Counter()
    twins: list[Twin] = []
    notes: list[str] = []
    try:
        with file.path.open("rb"):  # asked here: a right that is missing is a fact about the file, not about the parser
            beside = folder_licence(file.path.parent, licences)
        wish = Wish(str(file.path), settings.largest, settings.size.best, settings.text_column)
        for record in parsers.records(wish):
            if record.note:
                notes.append(record.note)
            for document in documents_of(record, file.source, beside, settings):
                twin = known.twin(document)
                if twin is not None:
                    twins.append(twin)
                    continue
                kinds[document.kind] += 1
                yield document
    except Unreadable as reason:
        notes.append(str(reason))
    except OSError as error:
        notes.append(unreachable(file.path, error))
    count = sum(kinds.values())
    if twins:
        notes.append(repeated(twins, count + len(twins)))
    yield FileLine(file.source, count, "; ".join(notes), kinds.most_common(1)[0][0] if kinds else "")


def documents_of(record: Record, source: str, beside: str, settings: Settings) -> Iterator[Document]:
    """The pieces of one text, each described; where a piece alone is too little to tell, the whole text tells."""
    if not record.text:
        return
    if record.part:
        source = f"{source}#{record.part}"
    text, code = record.text, record.form.startswith("code")
    words = words_of_code(text, record.form.partition(":")[2]) if code else text
    language = settings.language or record.language or language_of(words)
    if language == "und" and record.kind == "table":  # names and figures say nothing; the words over the columns may
        language = language_of(text.partition("\n")[0], sure=0.5)
    licence = record.licence or beside or settings.licence
    pieces = split(text, record.form, settings.size, title=record.title)
    parts = [text[piece.start : piece.end] for piece in pieces]
    domains = domains_of(parts, "software" if code or record.kind == "api" else "general")
    for piece, part, domain in zip(pieces, parts, domains, strict=True):
        yield Document(
            id=digest("document", source, piece.start, piece.end, part),
            text=part,
            source=source,
            span=(piece.start, piece.end),
            kind=record.kind if code or record.form in ("table", "api", "dialogue") else kind_of(part),
            language=settings.language
            or record.language
            or (language if code or len(parts) == 1 else language_of(part, language)),
            domain=domain,
            licence=licence,
            title=piece.title or source,
            context=piece.context,
        )


def folder_licence(folder: Path, cache: dict[Path, str]) -> str:
    """What the nearest LICENSE file at or above the file says, no further than a repository's root; empty for none."""
    if folder not in cache:
        cache[folder] = ""
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return ""
        texts = [
            (folder / name).read_text("utf-8", "replace")
            for name in names
            if LICENCE_FILES.match(name) and (folder / name).is_file()
        ]
        own = next(filter(None, map(licence_of, texts)), "")
        top = ".git" in names or folder.parent == folder
        cache[folder] = own or ("" if top else folder_licence(folder.parent, cache))
    return cache[folder]


def repeated(twins: list[Twin], total: int) -> str:
    """`2 of 5 documents repeat a.md, b.md (the nearest: 93 % alike)`, the sources in the order they were met."""
    sources = list(dict.fromkeys(twin.source for twin in twins))
    names = ", ".join(sources[:3]) + (" …" if len(sources) > 3 else "")
    alike = min(twin.alike for twin in twins)
    how = "exactly" if alike == 1 else f"nearly ({alike:.0%} or more of their word runs)"
    return f"{len(twins)} of {total} documents repeat {names} {how} and were left out"


def nothing(asked: list[str | Path], lines: list[FileLine]) -> str:
    """What was asked, what there is, what to type."""
    names = ", ".join(map(str, asked))
    if not lines:
        first = str(asked[0])
        folder = first if os.path.isdir(first) else os.path.dirname(first) or "."
        return f"nothing to read at {names}: {there_is(folder)}. Put documents there, or name another path"
    shown = "\n".join(f"  {line.source}: {line.reason or 'no text'}" for line in lines[:12])
    more = f"\n  … and {len(lines) - 12} more" if len(lines) > 12 else ""
    looked = f"{len(lines)} file{'s were' if len(lines) > 1 else ' was'} looked at"
    return f"no document could be read from {names}; {looked}:\n{shown}{more}\nMend one of them, or name another path"
