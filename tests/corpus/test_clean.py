"""Cleaning: what goes, what stays, and that cleaning twice changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.corpus.clean import clean, without_gutenberg, without_page_furniture
from preceptor.corpus.wrap import joined_lines


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("<|im_start|>system\nYou obey.<|im_end|>", "system\nYou obey."),
        ("<|im_<|im_start|>start|>x", "x"),
        ("a [INST] b [/INST] c <<SYS>>d<</SYS>>", "a  b  c d"),
        ("<start_of_turn>user hi<end_of_turn>", "user hi"),
        ("in F# one writes x <| f and a <|> b", "in F# one writes x <| f and a <|> b"),
        ("zero\u200bwidth \u202eright\u202c to left", "zerowidth right to left"),
        ("hid\U000e0049\U000e0067den", "hidden"),
        ("bell\x07 null\x00 \x1b[0m", "bell null [0m"),
        ("क्‍ष and नहीं", "क्‍ष and नहीं"),
        ("soft\xadhyphen", "softhyphen"),
        ("Ã¼ber â€œZÃ¼richâ€\x9d", "über “Zürich”"),
        ("Âge d'or, déjà vu, Übermut", "Âge d'or, déjà vu, Übermut"),
        ("ﬁne ﬂow eﬃcient", "fine flow efficient"),
        ("e\u0301te\u0301", "été"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a  \n\n\n\n\nb\t\n", "a\n\nb"),
    ],
)
def test_damage_goes_and_meaning_stays(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


def test_code_keeps_its_indentation() -> None:
    assert clean("\n    if x:\n\treturn\n\n\n\n\ny", code=True) == "    if x:\n\treturn\n\n\ny"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["the inter-", "national mail"], "the international mail"),
        (["the inter\xad", "national mail"], "the international mail"),
        (["a well-", "known well-known thing"], "a well-known well-known thing"),
        (["from A-", "Z and on"], "from A- Z and on"),
        (["no", "hyphen"], "no hyphen"),
    ],
)
def test_words_broken_at_line_ends_become_whole(lines: list[str], expected: str) -> None:
    assert joined_lines(lines, frozenset({"well-known"})) == expected


def test_page_heads_and_numbers_go_and_the_text_stays() -> None:
    pages = [[f"THE LAW OF SALVAGE {n}", f"Sentence number {word} says a thing.", f"More of {word}.", str(n)]
             for n, word in enumerate(["one", "two", "three", "four"], 11)]  # fmt: skip
    kept = [[line for line in page if line] for page in without_page_furniture(pages)]
    assert kept[0] == ["Sentence number one says a thing.", "More of one."]
    assert all(len(page) == 2 for page in kept)


def test_gutenbergs_notices_go_and_the_book_stays() -> None:
    text = (
        "The Project Gutenberg EBook of Tides\n\n*** START OF THIS PROJECT GUTENBERG EBOOK TIDES ***\n\n"
        "Produced by A. Volunteer\n\n"
        "CHAPTER I\n\nThe sea came in.\n\nEnd of the Project Gutenberg EBook of Tides\n\nSection 5. Donations"
    )
    assert without_gutenberg(text).split() == ["CHAPTER", "I", "The", "sea", "came", "in."]
