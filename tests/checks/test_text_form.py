"""Checks of form and of kept facts: what they must tell apart, and that constraints of the closed list are all known."""

from typing import Any

import pytest

from checks.editing import example, outcome, verdict
from preceptor.checks.form import CONSTRAINTS, parsed, records, violations
from preceptor.checks.text import dates, guess_language, names, numbers, plain_sentences, sentences, stands_alone, unsaid

Case = tuple[str, dict[str, Any], list[str], list[str]]
"""Text, parameters, right results, wrong results."""


def case(name: str, **more: Any) -> dict[str, Any]:
    return {"case": {"name": name, **more}}


CASES: list[Case] = [
    ("one two three four", case("every_nth", n=2), ["one TWO three FOUR"], ["ONE two THREE four", "one TWO three FIVE"]),
    ("a lighthouse, near", case("long_words", n=7), ["a LIGHTHOUSE, near"], ["a LIGHTHOUSE, NEAR", "a lighthouse, near"]),
    ("Sam sat on “six” seas", case("starting_with", letter="s"), ["SAM SAT on “SIX” SEAS"], ["SAM SAT on “six” SEAS"]),
    ("Ada Lee", case("all_lower"), ["ada lee"], ["Ada lee"]),
    ("an oak", case("terms", terms=["oak"]), ["an OAK"], ["AN oak"]),
]
PROSE = "the cat sat on a mat and it was fat as any cat that has a hat and a bat"
VOCABULARY: list[Case] = [
    ("x", {"vocabulary": {"name": "without_letter", "letter": "e", "least": 3}}, ["This is an oak"], ["This is an elm tree"]),
    ("x", {"vocabulary": {"name": "without_letter", "letter": "e", "least": 3, "except": ["Keller"]}}, ["Keller is ill"],
     ["Keller is here"]),
    ("x", {"vocabulary": {"name": "short_words", "n": 4, "least": 5}}, [PROSE], [PROSE + " elephant", "a cat"]),
    ("x", {"vocabulary": {"name": "without_words", "words": ["mill"], "least": 2}}, ["The mills turn"], ["The Mill turns"]),
    ("x", {"vocabulary": {"name": "sentence_initials", "letters": "ab", "least": 4}}, ["A cat sat. Both ran."],
     ["A cat sat. Cats ran."]),
]
ACROSTIC: list[Case] = [
    ("x", {"acrostic": "TEA"}, ["The day is long\nEven so we wait\nAll of us together",
     "Two or three\nEver so long\nAnd then more"],
     ["The day is long\nAll of us together\nEven so we wait", "The day is long\nEven so we wait"]),
    ("x", {"acrostic": "OX"}, ["“Oh no you\nXerxes said so"], ["Oh no you\nYes he said"]),
    ("x", {"acrostic": "AB"}, ["A cat sat\nby the door"], ["A cat sat\nby"]),
    ("x", {"acrostic": "IT"}, ["In the end\n\nThey all left"], ["In the end they all left"]),
]
SHE = {"person": {"name": "the author", "forms": ["she", "her"]}}
PERSON: list[Case] = [
    ("x", SHE, ["The author went, and she saw “I am”.", "The author lost her hat.", "Then the author said that she knew.",
                "She was the author of it.", "The author took her bag."],
     ["I went.", "The author lost my hat.", "She lost her hat.", "The author went.", "The author said she knew me."]),
]
LAYOUT: list[Case] = [
    ("A.\n\nB.", {"layout": {"name": "numbered_paragraphs"}}, ["1. A.\n\n2. B."], ["1. A.\n\n3. B.", "1. A.\n\nB."]),
    ("A b.\n\nC.", {"layout": {"name": "quoted"}}, ["> A b.\n>\n> C."], ["> A b.\n\n> C."]),
    ("One sat. Two ran.", {"layout": {"name": "one_sentence_a_line"}}, ["One sat.\nTwo ran."], ["One sat. Two ran.",
     "One sat.\nTwo sat."]),
    ("One sat. Two ran.", {"layout": {"name": "bulleted_sentences"}}, ["- One sat.\n- Two ran."], ["- Two ran.\n- One sat."]),
    ("aa bb cc dd", {"layout": {"name": "wrapped", "n": 6}}, ["aa bb\ncc dd"], ["aa\nbb cc\ndd", "aa bb\ncc de"]),
]
SUBTITLES: list[Case] = [
    ("aa bb cc dd ee", {"subtitles": {"width": 5, "lines": 2}}, ["aa bb\ncc dd\n\nee"], ["aa bb\n\ncc dd\nee",
     "aa bb cc\ndd ee"]),
    ("aa bb\n\ncc", {"subtitles": {"width": 5, "lines": 1}}, ["aa bb\n\ncc"], ["aa\n\nbb cc"]),
    ("aaa bbb", {"subtitles": {"width": 4, "lines": 2}}, ["aaa\nbbb"], ["aaa\nbbc"]),
    ("1 2 3", {"subtitles": {"width": 3, "lines": 1}}, ["1 2\n\n3"], ["1 2\n\n4"]),
    ("a b", {"subtitles": {"width": 9, "lines": 2}}, ["a b"], ["a\nb"]),
]
CONTENTS: list[Case] = [
    ("# A\n\ntext\n\n## B\n\nmore", {"contents": True}, ["- A\n  - B\n\n# A\n\ntext\n\n## B\n\nmore"],
     ["- A\n- B\n\n# A\n\ntext\n\n## B\n\nmore", "- A\n  - C\n\n# A\n\ntext\n\n## B\n\nmore",
      "- A\n  - B\n\n# A\n\ntext\n\n## B\n\nless"]),
    ("## A\n\nx", {"contents": True}, ["- A\n\n## A\n\nx"], ["- a\n\n## A\n\nx"]),
    ("# A\n\n# B", {"contents": True}, ["- A\n- B\n\n# A\n\n# B"], ["- B\n- A\n\n# A\n\n# B"]),
    ("# A\n\n### C 2", {"contents": True}, ["- A\n    - C 2\n\n# A\n\n### C 2"], ["- A\n    - C 3\n\n# A\n\n### C 2"]),
    ("# A", {"contents": True}, ["- A\n\n# A"], ["# A"]),
]
CSV = "a,b\n1,x\n2,y"
CONTENT: list[Case] = [
    (CSV, {"form": "json"}, ['[{"a":"1","b":"x"},{"a":"2","b":"y"}]',
                             '```json\n[{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]\n```'],
     ['[{"a":"1","b":"x"},{"a":"3","b":"y"}]', '[{"a":1,"b":"x"},{"a":2,"b":"y"}]', '[{"a":"2","b":"y"},{"a":"1","b":"x"}]']),
    (CSV, {"form": "jsonl"}, ['{"a":"1","b":"x"}\n{"a":"2","b":"y"}'], ['{"a":"1","b":"x"}']),
    (CSV, {"form": "yaml"}, ['- a: "1"\n  b: "x"\n- a: "2"\n  b: "y"'], ['- a: "1"\n  b: "y"\n- a: "2"\n  b: "x"']),
    (CSV, {"form": "markdown"}, ["| a | b |\n|---|---|\n| 1 | x |\n| 2 | y |"], ["| b | a |\n|---|---|\n| 1 | x |\n| 2 | y |"]),
    (CSV, {"form": "bullets"}, ["- a: 1; b: x\n- a: 2; b: y"], ["- a: 1; b: x\n- a: 2; b: z"]),
]
LONG = "The keeper Ole Moen lit the lamp at eight and counted fourteen boats before the harbour closed for the night."
KEPT: list[Case] = [
    (LONG, {"slack": 0.2}, [LONG, LONG.replace(" and counted", ". He counted"), LONG.replace("lit", "lights"),
                            LONG.replace("before", "and then"), LONG.replace(" for the night", "")],
     [LONG.replace("Moen", "Dahl"), LONG.replace("boats", "boats in 1999"), LONG[:50], "Boats came late " + LONG[70:],
      "Nothing of this happened to anybody there that evening."]),
]
TABLES = {"case_rule": CASES, "vocabulary_rule": VOCABULARY, "acrostic_spells": ACROSTIC, "person_changed": PERSON,
          "layout_rule": LAYOUT, "subtitles_fit": SUBTITLES, "contents_right": CONTENTS, "content_equal": CONTENT,
          "content_words_kept": KEPT}
GOOD = [(check, g, d, a) for check, cases in TABLES.items() for g, d, right, _ in cases for a in right]
BROKEN = [(check, g, d, a) for check, cases in TABLES.items() for g, d, _, wrong in cases for a in wrong]


@pytest.mark.parametrize(("check", "given", "data", "answer"), GOOD)
async def test_a_right_form_passes(check: str, given: str, data: dict[str, Any], answer: str) -> None:
    assert await outcome(check, example(given, data, answer)) == "pass"


@pytest.mark.parametrize(("check", "given", "data", "answer"), BROKEN)
async def test_a_wrong_form_fails(check: str, given: str, data: dict[str, Any], answer: str) -> None:
    assert await outcome(check, example(given, data, answer)) == "fail"


@pytest.mark.parametrize("check", sorted(TABLES))
def test_each_check_is_tried_on_five_right_and_five_wrong_forms(check: str) -> None:
    assert sum(g[0] == check for g in GOOD) >= 5
    assert sum(b[0] == check for b in BROKEN) >= 5


@pytest.mark.parametrize(("check", "given", "answer", "data", "wanted"), [
    ("keeps_numbers", "It took 9 of 1,250.", "Of 1.250 it took 9.", {}, "pass"),
    ("keeps_numbers", "It took 9.", "It took 8.", {}, "fail"),
    ("keeps_numbers", "It took 9.", "यह ९ था", {}, "pass"),
    ("keeps_numbers", "It cost 12,500 crowns.", "Es kostete 12\u202f500 Kronen.", {"target_language": "de"}, "pass"),
    ("keeps_numbers", "It cost 12,500 crowns.", "Es kostete 12.500 Kronen.", {"target_language": "de"}, "pass"),
    ("keeps_numbers", "It cost 12,500 crowns.", "Es kostete 12.600 Kronen.", {"target_language": "de"}, "fail"),
    ("keeps_numbers", "It cost 12,500 crowns.", "It cost 12\u00a0500 or 12500 crowns.", {}, "pass"),
    ("keeps_numbers", "It cost 12,500 crowns.", "It cost 125\u00a0000 crowns.", {}, "fail"),
    ("keeps_numbers", "Of 40 boats 40 left.", "All 40 boats left.", {}, "pass"),
    ("keeps_numbers", "Of 40 boats 14 left.", "All 40 boats left.", {}, "fail"),
    ("keeps_numbers", "It closes at 3:30 pm.", "Es schließt um 15.30 Uhr.", {"target_language": "de"}, "pass"),
    ("keeps_numbers", "It closes at 3:30 pm.", "Es schließt um 14.30 Uhr.", {"target_language": "de"}, "fail"),
    ("keeps_numbers", "It ran for 9 days.", "For nine days it ran.", {}, "pass"),
    ("keeps_numbers", "It ran for 9 days.", "For eight days it ran.", {}, "fail"),
    ("keeps_numbers", "1. Lock up.\n2. Leave 40 pence.", "Lock up and leave 40 pence.", {}, "pass"),
    ("keeps_numbers", "1. Lock up.\n2. Leave 40 pence.", "1. Lock up.\n2. Leave the pence.", {}, "fail"),
    ("no_new_numbers", "Nine.", "About 9.", {}, "pass"),
    ("no_new_numbers", "Nine.", "About 8.", {}, "fail"),
    ("no_new_numbers", "It holds 1,250 litres.", "It holds 1\u202f250 litres.", {}, "pass"),
    ("no_new_numbers", "It holds 1,250 litres.", "It holds 1\u202f260 litres.", {}, "fail"),
    ("keeps_names", "We met Ole Moen there.", "There Moen was met.", {}, "pass"),
    ("keeps_names", "We met Ole Moen there.", "There Ole Dahl was met.", {}, "fail"),
    ("keeps_names", "Night Watch on Duty\n\nWe met Ole Moen there.", "The watch: Ole Moen was met there.", {}, "pass"),
    ("keeps_names", "Night Watch on Duty\n\nWe met Ole Moen there.", "Night Watch on Duty: he was met there.", {}, "fail"),
    ("keeps_names", "From: Ida Roth\nSubject: Boat Shed\n\nAsk Ole.", "Ida asks for Ole.", {}, "na"),
    ("keeps_names", "Then we met Ole Moen.", "Then we met Ole.", {}, "pass"),
    ("keeps_listed", "x", "It is 12 km.", {"keep": ["12"]}, "pass"),
    ("keeps_listed", "x", "It is 120 km.", {"keep": ["12"]}, "fail"),
    ("lower_overlap", "the cat sat on the mat today", "today a mat carried that cat", {}, "pass"),
    ("lower_overlap", "the cat sat on the mat today", "the cat sat on the mat yesterday", {}, "fail"),
    ("lower_overlap", "Here old Ole Moen of the Kap Horn Line said “we never sail on a Friday in this house” to 12 of us.",
     "To 12 of us “we never sail on a Friday in this house” came from Ole Moen.", {"overlap": 0.05}, "pass"),
    ("lower_overlap", "गाँव की पुरानी बावड़ी की सीढ़ियाँ पत्थर की हैं और ठंडी रहती हैं।",
     "गाँव की पुरानी बावड़ी की सीढ़ियाँ पत्थर की हैं और गरम रहती हैं।", {}, "fail"),
    ("citations_kept", "So it is [3].", "It is so [3].", {}, "pass"),
    ("citations_kept", "So it is (Ek, 1999).", "It is so (Ek, 1989).", {}, "fail"),
    ("language_is", "x", "Das ist nicht für den Hund und die Katze.", {"target_language": "de"}, "pass"),
    ("language_is", "x", "This is not for the dog and the cat.", {"target_language": "de"}, "fail"),
    ("language_is", "x", "यह एक बावड़ी है।", {"target_language": "hi"}, "pass"),
    ("languages_alternate", "x", "The dog is not for the cat. Der Hund ist nicht für die Katze.", {"languages": ["en",
     "de"]}, "pass"),
    ("languages_alternate", "x", "The dog is not for the cat. The cat is not for the dog.", {"languages": ["en",
     "de"]}, "fail"),
    ("languages_alternate", "x", "# The dog and the cat\n\nThe dog is not for the cat. Der Hund ist nicht für die Katze.",
     {"languages": ["en", "de"]}, "pass"),
    ("languages_alternate", "x", "She said: “Das ist nicht der Hund. Das ist die Katze.” and left the house. Der Hund ist nicht"
     " für die Katze.", {"languages": ["en", "de"]}, "pass"),
    ("languages_alternate", "x", "Der Hund ist nicht für die Katze. The dog is not for the cat.", {"languages": ["en", "de"]},
     "fail"),
    ("languages_alternate", "x", "# The dog and the cat\n\nThe dog is not for the cat. And it is not for the bird.",
     {"languages": ["en", "de"]}, "fail"),
    ("formal_marks", "x", "We can't come!", {"register": "formal"}, "fail"),
    ("formal_marks", "x", "We cannot come.", {"register": "formal"}, "pass"),
    ("reads_easier", "Notwithstanding considerable administrative complications, participants subsequently continued.",
     "It was hard. They went on.", {}, "pass"),
    ("reads_easier", "It was hard. They went on.", "It was hard, administratively considered, notwithstanding.", {}, "fail"),
    ("budget", "x", "one two three", {"max_words": 3}, "pass"),
    ("budget", "x", "one two three", {"min_words": 4}, "fail"),
    ("sentences_short", "x", "One two. Three four.", {"sentence_words": 2}, "pass"),
    ("sentences_short", "x", "One two three.", {"sentence_words": 2}, "fail"),
    ("headings_only_added", "One.\n\nTwo.", "## A\n\nOne.\n\n## B\n\nTwo.", {"headings": 2}, "pass"),
    ("headings_only_added", "One.\n\nTwo.", "## A\n\nOne.\n\n## B\n\nToo.", {"headings": 2}, "fail"),
    ("structure_parses", "a,b\n1,2\n3,4", "[{]", {"form": "json"}, "fail"),
    ("stripped_equal", "an oak", "an **oak**", {"marks": ["**"]}, "pass"),
    ("stripped_equal", "an oak", "an **elm**", {"marks": ["**"]}, "fail"),
    ("target_gone", "Bo", "BO is here", {"targets": ["Bo"]}, "fail"),
    ("sentence_set_kept", "a\nb", "b\na", {}, "pass"),
    ("sentence_set_kept", "a\nb", "b\nb", {}, "fail"),
])
async def test_checks_that_support_a_verdict(check: str, given: str, answer: str, data: dict[str, Any], wanted: str) -> None:
    assert await outcome(check, example(given, data, answer)) == wanted


@pytest.mark.parametrize(("constraint", "right", "wrong"), [
    ({"name": "max_words", "number": 3}, "a b c", "a b c d"),
    ({"name": "min_words", "number": 2}, "a b", "a"),
    ({"name": "max_characters", "number": 3}, "abc", "abcd"),
    ({"name": "max_sentences", "number": 1}, "One sat.", "One sat. Two ran."),
    ({"name": "min_sentences", "number": 2}, "One sat. Two ran.", "One sat."),
    ({"name": "exact_sentences", "number": 1}, "A.", "Al. Bo."),
    ({"name": "exact_paragraphs", "number": 2}, "a\n\nb", "a"),
    ({"name": "exact_lines", "number": 2}, "a\nb", "a"),
    ({"name": "max_line_characters", "number": 2}, "ab\ncd", "abc"),
    ({"name": "must_keep", "strings": ["12"]}, "12 km", "121 km"),
    ({"name": "must_not_contain", "strings": ["very"]}, "every", "Very good"),
    ({"name": "starts_with", "strings": ["At"]}, "At sea", "By sea"),
    ({"name": "ends_with", "strings": ["sea."]}, "At sea.", "At sea"),
    ({"name": "no_digits"}, "nine", "9"),
    ({"name": "every_sentence_starts_with", "strings": ["A", "O"]}, "A cat. On it.", "A cat. The dog."),
    ({"name": "every_sentence_max_words", "number": 2}, "One sat. Two ran.", "One sat down."),
    ({"name": "keeps_all_numbers"}, "7 and 9", "7"),
    ({"name": "keeps_all_names"}, "Ole Moen", "Ole"),
    ({"name": "no_questions"}, "so.", "so?"),
    ({"name": "no_exclamation"}, "so.", "so!"),
    ({"name": "no_commas"}, "a b", "a, b"),
    ({"name": "no_brackets"}, "a", "(a)"),
    ({"name": "no_first_person"}, "he went", "my way"),
    ({"name": "all_lower_case"}, "ab", "Ab"),
    ({"name": "all_upper_case"}, "AB", "Ab"),
])
async def test_every_constraint_can_be_held_and_broken(constraint: dict[str, Any], right: str, wrong: str) -> None:
    given = "We met Ole Moen with 7 and 9."
    assert constraint["name"] in CONSTRAINTS
    assert not violations(right, [constraint], given)
    assert violations(wrong, [constraint], given)
    assert await outcome("constraints_hold", example(given, {"constraints": [constraint]}, wrong)) == "fail"


@pytest.mark.parametrize(("check", "given", "answer", "data", "told"), [
    ("keeps_numbers", "It took 9 of 12,500.", "It took nine.", {}, "12,500"),
    ("no_new_numbers", "It took long.", "It took 14 days.", {}, "14"),
    ("keeps_names", "We met Ole Moen there.", "We met him there.", {}, "Ole Moen"),
    ("lower_overlap", "the cat sat on the mat today", "the cat sat on the mat yesterday", {}, "cat sat on the mat"),
    ("languages_alternate", "x", "The dog is not for the cat. The cat is not for the dog.", {"languages": ["en", "de"]},
     "The cat is not"),
    ("citations_kept", "So it is [3].", "It is so.", {}, "[3]"),
])
async def test_a_failed_check_says_in_words_what_it_missed(
    check: str, given: str, answer: str, data: dict[str, Any], told: str
) -> None:
    assert told in (await verdict(check, example(given, data, answer))).hint


@pytest.mark.parametrize(("answer", "wanted"), [
    ("Abends schrieb der Wärter auf, wie viele Boote er im Hafen gezählt hatte.", "pass"),
    ("Der alte Wächter zählte jeden Abend die Boote im Hafen und schrieb sie nieder.", "fail"),
])
async def test_copied_runs_are_counted_in_other_languages_too(answer: str, wanted: str) -> None:
    given = "Der alte Wärter zählte jeden Abend die Boote im Hafen und schrieb sie auf."
    assert await outcome("lower_overlap", example(given, {}, answer, language="de")) == wanted


def test_a_constraint_may_bind_only_the_paragraphs_that_hold_a_word() -> None:
    rule = [{"name": "max_words", "number": 3, "only_where": "boat"}]
    assert not violations("The boat left.\n\nA much longer paragraph about the land.", rule)
    assert violations("The boat left very late.\n\nShort.", rule)
    assert violations("Nothing of the sort.", rule)
    assert "there is no constraint" in violations("x", [{"name": "rhymes"}])[0]


def test_readers_find_what_stands_there_and_refuse_what_is_doubtful() -> None:
    assert sentences("Dr. Ek came. He left at 5 p.m. on foot! Why?") == ["Dr. Ek came.", "He left at 5 p.m. on foot!", "Why?"]
    assert plain_sentences("Dr. Ek came. He left.") is None
    assert plain_sentences("One sat. Two ran.") == ["One sat.", "Two ran."]
    assert numbers("1,250 and 3.5, in 1999.") == ["1250", "3.5", "1999"]
    assert names("We met Ole Moen and the clerk Ida. The end.") == ["Ole Moen", "Ida"]
    assert names("Boats at Rest\n\nTo: Ida Roth\n\nBut Nobody asked. Saran Wrap tore. The clerk met Ole Moen. Used "
                 "under the Apache License with notice.\n\n# The Lamp at Vik") == ["Ole Moen"]
    assert names("A hill is a hill. We climbed Malt Hill and went to New York.") == ["New York"]
    assert stands_alone("Ole's boat", "Ole")
    assert not stands_alone("the Ole-owned boat", "Ole")
    assert not stands_alone("Ole and OLE", "Ole")
    assert [d.isoformat() for *_, d in dates("3 May 1999, June 7, 2001, 31 February 2000")] == ["1999-05-03", "2001-06-07"]
    assert guess_language("Der Hund ist nicht in dem Haus.") == "de"
    assert records("We went, saw,\n\nand left, all,\nof us, there,") == []
    assert parsed("- a: 1", "yaml") is None
    assert unsaid("Replace “Ek’s” by [X]", ['"Ek\'s"', "[X]", "Li"]) == ["Li"]
