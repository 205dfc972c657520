"""Pieces: their spans give them back, nothing is lost between them, and cuts fall where an author would cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.corpus.split import Size, split

FORMS = ("md", "txt", "api", "table", "dialogue", "code:python", "code:rust", "code")
SMALL = Size(least=60, best=120, most=240)
WORDS = st.sampled_from(
    ["river", "Dr.", "end.", "# Title", "\n\n", "\n", "def f():", "    return 1", "class A:", "```", "| a | b |", "Ada: yes",
     "नदी।",     "z. B.", "@property", "  ", "“Why?”", "\t", "fn main() {", "}", "CHAPTER IV", "x" * 300]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(WORDS, max_size=120), glue=st.sampled_from(["", " ", "\n"]), form=st.sampled_from(FORMS))
def test_spans_give_the_pieces_back_and_lose_nothing_but_blanks(parts: list[str], glue: str, form: str) -> None:
    text = glue.join(parts)
    pieces = split(text, form, SMALL, title="T")
    place = 0
    for piece in pieces:
        assert place <= piece.start < piece.end <= len(text)
        assert not text[place : piece.start].strip()
        assert 0 < piece.end - piece.start <= SMALL.most
        assert text[piece.start : piece.end].strip()
        place = piece.end
    assert not text[place:].strip()


@given(text=st.text(max_size=900), form=st.sampled_from(FORMS))
@settings(max_examples=100, deadline=None)
def test_any_text_at_all_can_be_split(text: str, form: str) -> None:
    pieces = split(text, form, SMALL)
    kept = "".join(text[p.start : p.end] for p in pieces)
    assert "".join(kept.split()) == "".join(text.split())


def sentences(count: int, word: str) -> str:
    return " ".join(f"The {word} number {n} stood by the water and said nothing." for n in range(count))


def test_chapters_begin_documents() -> None:
    text = "\n\n".join(
        f"## Chapter {name}\n\n{sentences(40, name)}\n\n{sentences(40, name)}" for name in ("One", "Two", "Three")
    )
    pieces = split(text, "md", title="Book")
    starts = [text[p.start : p.start + 14] for p in pieces]
    assert {"## Chapter One", "## Chapter Two"} <= set(starts)
    assert [p.title for p in pieces if text.startswith("## Chapter Two", p.start)] == ["Book › Chapter Two"]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "Dr. Okafor met Prof. Ruiz on the 3. of May. " + sentences(200, "heron")
    pieces = split(text, "md")
    assert len(pieces) > 1
    assert all(text[p.start : p.end].endswith(".") for p in pieces)
    assert not any(text[p.start : p.end].endswith(("Dr.", "Prof.")) for p in pieces)


def test_hindi_sentences_end_with_their_own_sign() -> None:
    text = "पानी धीरे-धीरे ऊपर आया और लोग उसे देखने के लिए इकट्ठे हुए। " * 150
    assert all(text[p.start : p.end].endswith("।") for p in split(text, "md"))


def test_python_is_cut_before_decorators_and_never_inside_a_function_that_fits() -> None:
    body = "\n".join(f"    total += {n}  # step {n}" for n in range(30))
    text = "import os\n\n" + "\n\n".join(
        f"# about {name}\n@cache\ndef {name}(total):\n{body}\n    return total\n" for name in "abcdefghij"
    )
    pieces = split(text, "code:python", Size(500, 1500, 2500))
    assert len(pieces) > 2
    assert all(text[p.start : p.end].startswith(("import", "# about")) for p in pieces)


def test_other_languages_are_cut_between_definitions() -> None:
    text = "\n\n".join(f"pub fn f{n}(x: u32) -> u32 {{\n" + "    let y = x;\n" * 30 + "    y\n}" for n in range(9))
    pieces = split(text, "code:rust", Size(400, 900, 1500))
    assert all(text[p.start : p.end].startswith("pub fn") for p in pieces)
    assert pieces[1].title.startswith("pub fn")


def test_a_dialogue_is_cut_between_turns() -> None:
    text = "\n".join(f"{'Ada' if n % 2 else 'Obi'}: {sentences(4, 'turn')}" for n in range(60))
    pieces = split(text, "dialogue")
    assert len(pieces) > 1
    assert all(text[p.start : p.end].startswith(("Ada:", "Obi:")) for p in pieces)


def test_code_between_fences_stays_whole_where_it_fits() -> None:
    fence = "```python\n" + "\n\n".join(f"value_{n} = {n}" for n in range(60)) + "\n```"
    text = "\n\n".join([sentences(12, "lake"), fence] * 8)
    assert all(text[p.start : p.end].count("```") % 2 == 0 for p in split(text, "md"))


def test_context_is_a_little_of_what_stands_before() -> None:
    text = "\n\n".join(sentences(10, f"crane{n}") for n in range(40))
    pieces = split(text, "md")
    assert pieces[0].context == ""
    for piece in pieces[1:]:
        assert 0 < len(piece.context) <= 300
        assert piece.context in text[: piece.start]


@pytest.mark.parametrize("bad", [(0, 1, 2), (5, 4, 9), (1, 9, 8)])
def test_sizes_must_rise(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Size(*bad)
