"""Search over the corpus: words ranked by BM25, in tantivy, or in SQLite's FTS5 where tantivy is not installed."""

import logging
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import orjson

from preceptor.errors import ToolError
from preceptor.types import Document

log = logging.getLogger(__name__)

MOST_RESULTS = 20
MOST_QUERY = 512
MOST_WORDS = 32
SNIPPET = 320
_SHOWN = ("id", "title", "source", "kind", "text")


def words(text: str) -> list[str]:
    """`text` as search sees it: case-folded words; runs of scripts without spaces as overlapping pairs of signs.

    Both indexes get their words from here, so that they find the same things, and so that no query can hold syntax.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Marks belong to their letters (a Hindi vowel sign is no border); all but letters, marks and numbers are borders.
    plain = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return [part for word in plain.split() for part in _pairs(word)]


_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


def _pairs(word: str) -> list[str]:
    if not _UNSPACED.search(word):
        return [word[:64]]
    parts: list[str] = []
    for run in re.findall(rf"{_UNSPACED.pattern}|[^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff]+", word):
        if not _UNSPACED.match(run) or len(run) == 1:
            parts.append(run[:64])
        else:
            parts += [run[i : i + 2] for i in range(len(run) - 1)]
    return parts


def snippet(text: str, asked: Sequence[str], size: int = SNIPPET) -> str:
    """The stretch of `text` that holds most different words of the query, cut at words."""
    wanted = set(asked)
    marks = [(m.start(), hit) for m in re.finditer(r"\S+", text) if (hit := wanted & set(words(m.group())))]
    best, most = 0, 0
    for start, _ in marks:
        held = len(set().union(*(hit for at, hit in marks if start <= at < start + size - 40)))
        if held > most:
            best, most = start, held
    begin = max(0, best - 40)
    begin = 0 if begin == 0 else text.find(" ", begin, best) + 1 or best
    cut = text[begin : begin + size]
    if begin + size < len(text):
        cut = cut[: cut.rfind(" ")] if " " in cut else cut
    shown = " ".join(cut.split())
    return ("… " if begin else "") + shown + (" …" if begin + len(cut) < len(text) else "")


class _Index(Protocol):
    name: str

    def add(self, document: Document, terms: str, title: str) -> None: ...

    def finish(self) -> None: ...

    def find(self, terms: Sequence[str], most: int) -> list[tuple[float, dict[str, str]]]: ...


class _Tantivy:
    name = "tantivy"

    def __init__(self, folder: str | None) -> None:
        import tantivy

        schema = tantivy.SchemaBuilder()
        schema.add_text_field("terms", stored=False, tokenizer_name="whitespace", index_option="freq")
        schema.add_text_field("heading", stored=False, tokenizer_name="whitespace", index_option="freq")
        schema.add_bytes_field("entry", stored=True, indexed=False)
        self._tantivy: Any = tantivy
        self._schema = schema.build()
        self._index: Any = tantivy.Index(self._schema, path=folder) if folder else tantivy.Index(self._schema)
        plain = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("whitespace", plain)
        self._writer: Any = self._index.writer(32_000_000, 1)  # one thread: the same corpus, the same order
        self._searcher: Any = None

    def add(self, document: Document, terms: str, title: str) -> None:
        entry = orjson.dumps({name: getattr(document, name) for name in _SHOWN})
        self._writer.add_document(self._tantivy.Document(terms=[terms], heading=[title], entry=[entry]))

    def finish(self) -> None:
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def find(self, terms: Sequence[str], most: int) -> list[tuple[float, dict[str, str]]]:
        query, occur = self._tantivy.Query, self._tantivy.Occur
        parts = [(occur.Should, query.term_query(self._schema, "terms", term)) for term in terms]
        for term in terms:
            heading = query.boost_query(query.term_query(self._schema, "heading", term), 2.0)
            parts.append((occur.Should, heading))
        hits = self._searcher.search(query.boolean_query(parts), most).hits
        return [(score, orjson.loads(self._searcher.doc(address).get_first("entry"))) for score, address in hits]


class _Fts5:
    name = "fts5"

    def __init__(self, folder: str | None) -> None:
        place = str(Path(folder) / "index.sqlite") if folder else ":memory:"
        self._database = sqlite3.connect(place, check_same_thread=False)
        self._database.execute(
            "create virtual table if not exists documents using fts5(terms, heading, id unindexed, title unindexed, "
            "source unindexed, kind unindexed, text unindexed, "
            "tokenize = \"unicode61 remove_diacritics 0 categories 'L* M* N*'\")"
        )

    def add(self, document: Document, terms: str, title: str) -> None:
        row = (terms, title, *(getattr(document, name) for name in _SHOWN))
        self._database.execute("insert into documents values (?, ?, ?, ?, ?, ?, ?)", row)

    def finish(self) -> None:
        self._database.commit()

    def find(self, terms: Sequence[str], most: int) -> list[tuple[float, dict[str, str]]]:
        query = " OR ".join(f'"{term}"' for term in terms)
        select = "select bm25(documents, 1.0, 2.0), id, title, source, kind, text from documents where documents match ? "
        with closing(self._database.execute(select + "order by 1, id limit ?", (query, most))) as rows:
            return [(-score, dict(zip(_SHOWN, shown, strict=True))) for score, *shown in rows]


_TAKES = f"search takes query (up to {MOST_QUERY} characters of plain words) and k (1 to {MOST_RESULTS})"


class Search:
    """`search(query, k=5, exclude=[])` → a list of `{id, title, source, kind, snippet, score}`, best first.

    `exclude` names documents by id or source; the one that is being worked on belongs there, or every question
    finds its own page. It is not in the declaration: whoever runs the tool sets it, not the model.
    """

    name = "search"
    declaration: Mapping[str, Any] = {
        "name": "search",
        "description": "Find passages in the document collection by words. Returns short extracts with their source.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "words to look for, no operators"},
                "k": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "description": "how many results"},
            },
            "required": ["query"],
            "additionalProperties": False,
        },
    }

    def __init__(self, index: _Index, fingerprint: str, documents: int, folder: Any = None) -> None:
        self._index, self._folder = index, folder  # the folder goes when this does
        self.documents = documents
        self.version = f"{index.name}-{fingerprint}"
        """Stands for the corpus: the same words find other things in another one."""

    async def __call__(self, **arguments: Any) -> list[dict[str, Any]]:
        query, k, exclude = read_query(_TAKES, **arguments)
        terms = list(dict.fromkeys(words(query)))[:MOST_WORDS]
        if not terms:
            raise ToolError(f"{_TAKES}; the query holds no word")
        shown: list[dict[str, Any]] = []
        for score, entry in self._found(terms, k, exclude):
            told = {name: entry[name] for name in ("id", "title", "source", "kind")}
            shown.append({**told, "snippet": snippet(entry["text"], terms), "score": score})
        return shown

    def _found(self, terms: Sequence[str], k: int, exclude: frozenset[str]) -> list[tuple[float, dict[str, str]]]:
        most = 2 * k + 10
        while True:
            hits = self._index.find(terms, most)
            kept = [(round(s, 4), e) for s, e in hits if e["id"] not in exclude and e["source"] not in exclude]
            if len(kept) >= k or len(hits) < most:
                # Among equals the id decides: where an index keeps a document is not the same in every build.
                return sorted(kept, key=lambda hit: (-hit[0], hit[1]["id"]))[:k]
            most *= 4


def read_query(takes: str, query: Any = None, k: Any = 5, exclude: Any = (), **unknown: Any) -> tuple[str, int, frozenset[str]]:
    """The arguments of a search, checked; ToolError with `takes` where they are wrong."""
    if unknown:
        raise ToolError(f"{takes}; not {', '.join(sorted(unknown))}")
    if not isinstance(query, str) or not query.strip():
        raise ToolError(f"{takes}; there is no query")
    if len(query) > MOST_QUERY:
        raise ToolError(f"{takes}; the query has {len(query):,} characters")
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST_RESULTS:
        raise ToolError(f"{takes}; k is {k!r}")
    names = [exclude] if isinstance(exclude, str) else list(exclude or ())
    if not all(isinstance(name, str) for name in names):
        raise ToolError("search: exclude takes ids or sources of documents")
    return query, k, frozenset(names)


def search_over(documents: Iterable[Document], folder: Path | None = None, backend: str = "") -> Search:
    """An index over `documents`: in memory, or in `folder` for a corpus that is larger than memory.

    `backend` is `tantivy` or `fts5`; unset takes tantivy where it is installed and says once where it is not.
    In `folder` it takes a place of its own, which goes with it: an index costs seconds, and one that is older than
    its corpus is a wrong answer.
    """
    at = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        at = tempfile.TemporaryDirectory(prefix="index-", dir=folder, ignore_cleanup_errors=True)
    index = _opened(backend, at.name if at else None)
    fingerprint, count = blake2b(digest_size=8), 0
    for document in documents:
        for part in (document.id, document.source, document.title, document.text):
            fingerprint.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
        index.add(document, " ".join(words(document.text)), " ".join(words(document.title)))
        count += 1
    index.finish()
    return Search(index, fingerprint.hexdigest(), count, at)


def _opened(backend: str, folder: str | None) -> _Index:
    if backend not in ("", "tantivy", "fts5"):
        raise ToolError(f"no search index named {backend!r}; there are: tantivy, fts5")
    if backend == "fts5":
        return _Fts5(folder)
    try:
        return _Tantivy(folder)
    except ImportError:
        if backend:
            raise ToolError("tantivy is not installed: `pip install 'preceptor[search]'`") from None
        log.warning("search uses SQLite; `pip install 'preceptor[search]'` makes it about ten times faster")
        return _Fts5(folder)
