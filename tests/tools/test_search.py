"""Search finds by words in any script, never by syntax, and never the document that is told to stay out."""

import contextlib
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.errors import ToolError
from preceptor.tools import Search, search_over
from preceptor.tools.search import snippet, words
from preceptor.types import Document

try:
    import tantivy  # noqa: F401

    BACKENDS = ["tantivy", "fts5"]
except ImportError:
    BACKENDS = ["fts5"]

DOCUMENTS = [
    Document("flour", "Folic acid in flour lowers defects. " * 50 + "The zebra is elsewhere.", "a.md", title="Flour"),
    Document("koeln", "Die Häuser in der Straße am Dom sind alt, und der Regen ist warm.", "b.md", title="Köln"),
    Document("hindi", "हिन्दी भाषा में विद्यालय का पाठ", "c.md", title="पाठ"),
    Document("tokyo", "東京都の人口は増えている", "d.md", title="東京"),
    Document("signs", 'AND OR NOT title:* "quote" (bracket', "e.md", title="signs"),
]  # fmt: skip


@pytest.fixture(params=BACKENDS)
def search(request: pytest.FixtureRequest) -> Search:
    return search_over(DOCUMENTS, backend=request.param)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("folic acid defects", "flour"),
        ("ZEBRA", "flour"),
        ("alte häuser STRASSE", "koeln"),
        ("Köln", "koeln"),
        ("विद्यालय", "hindi"),
        ("東京都 人口", "tokyo"),
        ("人口", "tokyo"),
        ('title:* AND ("', "signs"),
        ("flour NOT acid", "flour"),
    ],
)
async def test_words_of_any_script_are_found(search: Search, query: str, first: str) -> None:
    found = await search(query=query, k=3)
    assert found[0]["id"] == first
    assert set(found[0]) == {"id", "title", "source", "kind", "snippet", "score"}
    assert [hit["score"] for hit in found] == sorted((hit["score"] for hit in found), reverse=True)


@pytest.mark.parametrize(
    "query", ['"', "*", "()", "title:", "NEAR(", "a AND", "x\0y", "^", "'; drop table documents; --", "{}", "é"]
)
async def test_no_query_is_syntax(search: Search, query: str) -> None:
    try:
        await search(query=query)
    except ToolError as error:
        assert "holds no word" in str(error)  # noqa: PT017
    assert (await search(query="zebra"))[0]["id"] == "flour"


_SEARCH = search_over(DOCUMENTS, backend=BACKENDS[-1])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
async def test_any_text_is_a_query_or_refused(query: str) -> None:
    with contextlib.suppress(ToolError):
        assert isinstance(await _SEARCH(query=query), list)


async def test_the_snippet_shows_where_the_words_are(search: Search) -> None:
    found = (await search(query="zebra"))[0]["snippet"]
    assert "zebra" in found
    assert len(found) <= 330
    assert found.startswith("… ")


@pytest.mark.parametrize("exclude", ["flour", ["flour"], "a.md", ["a.md", "e.md"]])
async def test_the_document_that_asks_is_never_among_the_results(search: Search, exclude: object) -> None:
    found = await search(query="flour zebra häuser", k=5, exclude=exclude)
    assert [hit["id"] for hit in found] == ["koeln"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_whole_excluded_book_does_not_crowd_out_the_rest(backend: str) -> None:
    book = [Document(f"book{i}", "whale whale whale", "book.md") for i in range(300)]
    search = search_over([*book, Document("other", "one whale among many other words here", "o.md")], backend=backend)
    assert [hit["id"] for hit in await search(query="whale", k=3, exclude="book.md")] == ["other"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_equal_documents_come_in_one_order(backend: str) -> None:
    documents = [Document(f"d{i:02}", "the same words", "s") for i in range(12)]
    there = await search_over(documents, backend=backend)(query="words", k=3)
    back = await search_over(documents[::-1], backend=backend)(query="words", k=3)
    assert [hit["id"] for hit in there] == [hit["id"] for hit in back] == ["d00", "d01", "d02"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_version_stands_for_the_corpus(backend: str) -> None:
    version = search_over(DOCUMENTS, backend=backend).version
    assert version == search_over(DOCUMENTS, backend=backend).version
    assert version != search_over(DOCUMENTS[1:], backend=backend).version


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_index_in_a_folder_finds_the_same(backend: str, tmp_path: Path) -> None:
    search = search_over(DOCUMENTS, tmp_path / "index", backend=backend)
    assert list((tmp_path / "index").iterdir())
    assert await search(query="zebra") == await search_over(DOCUMENTS, backend=backend)(query="zebra")


async def test_without_tantivy_search_goes_on_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tantivy", None)
    with caplog.at_level(logging.WARNING):
        search = search_over(DOCUMENTS)
        await search(query="zebra")
    assert search.version.startswith("fts5-")
    assert sum("preceptor[search]" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "there is no query"),
        ({"query": " "}, "there is no query"),
        ({"query": 3}, "there is no query"),
        ({"query": "?!"}, "holds no word"),
        ({"query": "x" * 600}, "600 characters"),
        ({"query": "x", "k": 0}, "k is 0"),
        ({"query": "x", "k": 10_000}, "k is 10000"),
        ({"query": "x", "k": True}, "k is True"),
        ({"query": "x", "url": "http://evil"}, "not url"),
        ({"query": "x", "exclude": [3]}, "exclude takes"),
    ],
)
async def test_wrong_arguments_are_refused_with_what_it_takes(search: Search, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        await search(**arguments)


def test_words_and_snippets_of_odd_texts() -> None:
    assert words("Straße, ＡＢＣ-x 3,5 東京x") == ["strasse", "abc", "x", "3", "5", "東京", "x"]
    assert snippet("", ["a"]) == ""
    assert snippet("x" * 900, ["y"]) == "x" * 320 + " …"
