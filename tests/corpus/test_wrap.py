"""Lines that an editor broke at a width become paragraphs; lines that an author broke stay."""

import textwrap

import pytest

from preceptor.corpus.wrap import unwrapped

FIRST = (
    "The lamp was lit every evening at the same hour, whether or not a ship was expected, because the keeper held that a "
    "light which is sometimes dark is worse than no light at all, and said so in the book that he kept by the stair."
)
SECOND = (
    "In the winter of the long ice the oil came late, and for eleven nights he burned what was left of the boathouse door, "
    "plank by plank, and entered each plank in the book under the heading of fuel, with its length and the hour."
)
ITEM = "- a spare wick, trimmed and dried, kept in the tin box under the second stair where the damp does not reach it"


def wrapped(width: int, *paragraphs: str) -> str:
    return "\n\n".join(textwrap.fill(p, width, break_on_hyphens=False) for p in paragraphs)


@pytest.mark.parametrize("width", [50, 72, 79, 100])
def test_paragraphs_broken_at_one_width_are_whole_again(width: int) -> None:
    assert unwrapped(wrapped(width, FIRST, SECOND)) == f"{FIRST}\n\n{SECOND}"


def test_an_item_of_a_list_takes_its_indented_lines_and_not_the_next_item() -> None:
    item = textwrap.fill(ITEM, 60, subsequent_indent="  ")
    text = f"{wrapped(60, FIRST, SECOND)}\n\n{item}\n{item}"
    assert unwrapped(text).endswith(f"\n\n{ITEM}\n{ITEM}")


def test_a_word_broken_at_a_line_end_is_made_whole() -> None:
    assert unwrapped("a fun-\ndamental law\nof the sea-\nside") == "a fundamental law of the seaside"


KEPT = {
    "verse": "The tide goes out, the tide comes in,\nThe keeper counts the sails,\nAnd where it begins\nHe enters what fails.",
    "an address": "Harbour Office\n3 Quay Street\nSkaldavik\nopen from nine",
    "fields": "From: the harbour office\nTo: everybody who keeps a boat on the north side of the quay\nSubject: ice",
    "a table": "| month | oil |\n| --- | --- |\n| January, the month of the long ice | 11 |",
    "code": "```python\ndef lit(hour):\n    return hour in EVENINGS and not broken(hour)\n```",
    "indented code": "    the lamp was lit every evening at the same hour whatever\n    the keeper had been told to do",
    "a heading": "# The lamp at Skaldavik and the winter of the long ice of that\nThe lamp was lit every evening.",
    "quoted lines": "> the lamp was lit every evening at the same hour, whether\n> or not a ship was expected",
}


@pytest.mark.parametrize("what", sorted(KEPT))
@pytest.mark.parametrize("form", ["txt", "md"])
def test_lines_that_their_author_broke_stay(what: str, form: str) -> None:
    text = f"{wrapped(72, FIRST, SECOND)}\n\n{KEPT[what]}"
    assert unwrapped(text, form).endswith("\n\n" + KEPT[what])


def test_markdown_joins_lines_broken_at_clauses_and_plain_text_does_not() -> None:
    clauses = [
        "The lamp was lit every evening at the same hour,",
        "whether or not there was a ship that anybody had expected to come in,",
        "because the keeper held that a light must never be dark.",
    ]
    assert unwrapped("\n".join(clauses), "txt") == "\n".join(clauses)
    assert unwrapped("\n".join(clauses), "md") == " ".join(clauses)


def test_a_turn_of_a_talk_is_whole_and_begins_with_its_speaker() -> None:
    one = textwrap.fill("Ifeoma: " + FIRST, 70)
    two = textwrap.fill("Gordon: " + SECOND, 70)
    assert unwrapped(f"{one}\n{two}", "dialogue") == f"Ifeoma: {FIRST}\nGordon: {SECOND}"
