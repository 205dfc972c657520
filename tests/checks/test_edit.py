"""Each check of an edit tells right edits from wrong ones of the same form: tables of text, task, right and wrong results."""

from typing import Any

import pytest

from checks.editing import example, outcome

Case = tuple[str, dict[str, Any], list[str], list[str]]
"""Text, parameters, right results, wrong results."""


def swap(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"changes": [{"old": o, "new": n} for o, n in pairs]}


NAMED: list[Case] = [
    ("Ada met Bo. Bo left.", swap(("Bo", "X")), ["Ada met X. X left."], ["Ada met X. Bo left.", "Ada saw X. X left."]),
    ("Ada met Bo.", swap(("Ada", "Bo"), ("Bo", "Ada")), ["Bo met Ada."], ["Bo met Bo.", "Ada met Bo."]),
    ("Bo's boat, Boris.", swap(("Bo", "[—]")), ["[—]'s boat, Boris."], ["[—] boat, Boris.", "[—]'s boat, [—]ris."]),
    ("It cost 40 in May.", swap(("May", "June")), ["It cost 40 in June."], ["It cost 41 in June."]),
    ("Ann and Ann Lee", swap(("Ann Lee", "B"), ("Ann", "C")), ["C and B"], ["C and C Lee"]),
]
PSEUDONYMS: list[Case] = [
    ("Ada met Bo. Ada left.", swap(("Ada", "Person A"), ("Bo", "Person B")), ["Person A met Person B. Person A left."],
     ["Person A met Person B. Person B left.", "Person A met Person B. Ada left.", "Person B met Person A. Person B left."]),
    ("Cy ran.", swap(("Cy", "Party A")), ["Party A ran."], ["Cy ran."]),
    ("Cy, Di, Cy", swap(("Cy", "P A"), ("Di", "P B")), ["P A, P B, P A"], ["P A, P B, P B"]),
    ("Mr Ek and Mrs Li", swap(("Ek", "P A"), ("Li", "P B")), ["Mr P A and Mrs P B"], ["Mr P A and Mrs P A"]),
    ("Ek's Li", swap(("Ek", "P A"), ("Li", "P B")), ["P A's P B"], ["P B's P A's"]),
]
MAIL = {"private": [{"value": "ada.lee@firm.example", "what": "e-mail"}]}
PHONE = {"private": [{"value": "+44 20 7946 0123", "what": "number", "shown": 2}]}
MASKED: list[Case] = [
    ("To ada.lee@firm.example now", MAIL, ["To a**.***@firm.example now"], ["To a******@firm.example now",
     "To ***.***@firm.example now"]),
    ("Ring +44 20 7946 0123.", PHONE, ["Ring +** ** **** **23."], ["Ring +** ** **** *123.", "Ring +** ** **** **32."]),
    ("Call +44 20 7946 0123 at 5", PHONE, ["Call +** ** **** **23 at 5"], ["Call +** ** **** **23 at *"]),
    ("ada.lee@firm.example", MAIL, ["a**.***@firm.example"], ["a**.***@****.example"]),
    ("No AB-1234 x", {"private": [{"value": "AB-1234", "what": "number", "shown": 3}]}, ["No **-*234 x"], ["No AB-*234 x"]),
]
YEARS = {"mark_rules": [{"open": "<y>", "close": "</y>", "what": "years"}]}
TERMS = {"mark_rules": [{"open": "**", "close": "**", "what": "terms", "terms": ["oak", "elm"]}]}
MARKS: list[Case] = [
    ("In 1901 and 1902.", YEARS, ["In <y>1901</y> and <y>1902</y>."], ["In <y>1901</y> and 1902.",
     "In <y>1901</y> and <y>19</y>02."]),
    ("1899 has 1234 pages", YEARS, ["<y>1899</y> has 1234 pages"], ["<y>1899</y> has <y>1234</y> pages"]),
    ("an oak, an elm, oaks", TERMS, ["an **oak**, an **elm**, oaks"], ["an **oak**, an **elm**, **oak**s",
     "an **oak**, an elm, oaks"]),
    ("3.5 of 7", {"mark_rules": [{"open": "[", "close": "]", "what": "numbers"}]}, ["[3].[5] of [7]"], ["[3.5] of [7]"]),
    ("oak", TERMS, ["**oak**"], ["oak"]),
]
FAULTS: list[Case] = [
    ("the the cat", {"faults": [{"at": 0, "wrong": "the the", "right": "the"}]}, ["the cat"], ["the the cat", "a cat"]),
    ("He saw tow.", {"faults": [{"at": 7, "wrong": "tow", "right": "two"}]}, ["He saw two."], ["He saw three."]),
    ("com and 1ight", {"faults": [{"at": 8, "wrong": "1ight", "right": "light"}]}, ["com and light"], ["corn and light"]),
    ("Kellar, Keller", {"faults": [{"at": 0, "wrong": "Kellar", "right": "Keller"}]}, ["Keller, Keller"], ["Kellar, Kellar"]),
    ("a,b in 1990", {"faults": [{"at": 1, "wrong": ",", "right": ", "}]}, ["a, b in 1990"], ["a, b in 1991"]),
]
ORDER: list[Case] = [
    ("b\na\nc", {"order": {"by": "alphabetical"}}, ["a\nb\nc"], ["a\nc\nb", "a\nb"]),
    ("b\na\nc", {"order": {"by": "alphabetical", "descending": True}}, ["c\nb\na"], ["a\nb\nc"]),
    ("In 1950 x\nIn 1920 y", {"order": {"by": "year"}}, ["In 1920 y\nIn 1950 x"], ["In 1950 x\nIn 1920 y",
     "In 1920 x\nIn 1950 y"]),
    ("9 of\n10 of", {"order": {"by": "number"}}, ["9 of\n10 of"], ["10 of\n9 of"]),
    ("on 2 May 1999\non 1 June 1998", {"order": {"by": "date"}}, ["on 1 June 1998\non 2 May 1999"],
     ["on 2 May 1999\non 1 June 1998"]),
]
LAST = {"insert": {"sentence": "It rained.", "paragraph": 1, "place": "last"}}
FIRST = {"insert": {"sentence": "It rained.", "paragraph": 2, "place": "first"}}
INSERT: list[Case] = [
    ("We went. We saw.", LAST, ["We went. We saw. It rained."], ["We went. It rained. We saw.", "We went. We saw. It snowed."]),
    ("One.\n\nTwo.", FIRST, ["One.\n\nIt rained. Two."], ["It rained. One.\n\nTwo.", "One.\n\nTwo. It rained."]),
    ("One.\n\nTwo.", LAST, ["One. It rained.\n\nTwo."], ["One. It rained.\n\nTwo. It rained."]),
    ("A 5.", LAST, ["A 5. It rained."], ["A 6. It rained."]),
    ("A.\n\nB.", FIRST, ["A.\n\nIt rained. B."], ["A.\n\nIt rained."]),
]


def claim(statement: str, old: str, new: str, direction: str = "agree") -> dict[str, Any]:
    return {"claim": {"statement": statement, "old": old, "new": new, "direction": direction}}


CLAIM: list[Case] = [
    ("It has 12 cows. It is old.", claim("It has 14 cows.", "12", "14"), ["It has 14 cows. It is old."],
     ["It has 13 cows. It is old.", "It has 14 cows. It is new."]),
    ("In 1920, rain.", claim("In 1920, rain.", "1920", "1923", "contradict"), ["In 1923, rain."], ["In 1920, rain.",
     "In 1922, rain."]),
    ("A. 30 men.", claim("31 men.", "30", "31"), ["A. 31 men."], ["A. 30 men."]),
    ("Ten of 10.", claim("Ten of 11.", "10", "11"), ["Ten of 11."], ["Eleven of 10."]),
    ("7 or 20.", claim("7 or 20.", "20", "21", "contradict"), ["7 or 21."], ["8 or 20."]),
]
NORMAL: list[Case] = [
    ("On 3 May 1999 it fell.", {"normal": "dates"}, ["On 1999-05-03 it fell."], ["On 1999-03-05 it fell.",
     "On 1999-05-03 he fell."]),
    ("June 7, 2001, noon", {"normal": "dates"}, ["2001-06-07, noon"], ["2001-07-06, noon"]),
    ("at 3:30 pm", {"normal": "times"}, ["at 15:30"], ["at 03:30", "at 3:30 pm"]),
    ("12 am to 7 p.m. daily", {"normal": "times"}, ["00:00 to 19:00 daily"], ["12:00 to 19:00 daily"]),
    ("1,250 of 9,000,000", {"normal": "thousands"}, ["1250 of 9000000"], ["1250 of 900000", "1250 of 9,000,000"]),
]
KM = {"convert": {"from": ["miles", "mile"], "to": "km", "factor": "1.609344", "places": 1}}
UNITS: list[Case] = [
    ("5 miles on", KM, ["8.0 km on"], ["8.1 km on", "8.0 km off"]),
    ("1 mile and 10 miles", KM, ["1.6 km and 16.1 km"], ["1.6 km and 16.0 km", "1.6 km and 10 miles"]),
    ("1,000 miles", KM, ["1609.3 km"], ["1609.4 km"]),
    ("2.5 miles", KM, ["4.0 km"], ["2.5 km"]),
    ("at 50 C", {"convert": {"from": ["C"], "to": "F", "factor": "1.8", "offset": "32", "places": 1}}, ["at 122.0 F"],
     ["at 90.0 F"]),
]
STEPS: list[Case] = [
    ("Ann Lee sat. It rained. She left.", {"steps": [{"do": "replace", "old": "Ann Lee", "new": "A. Lee"},
                                                   {"do": "delete", "sentence": "It rained."}]},
     ["A. Lee sat. She left."], ["A. Lee sat. It rained. She left.", "Ann Lee sat. She left.", "A. Lee sat. He left."]),
    ("One two three four.\n\nFive.", {"steps": [{"do": "last", "begins": "One two three four."}]},
     ["Five.\n\nOne two three four."],
     ["One two three four.\n\nFive."]),
    ("A.", {"steps": [{"do": "append", "sentence": "The end."}]}, ["A. The end."], ["The end. A."]),
    ("A.\n\nB.", {"steps": [{"do": "insert", "sentence": "Not so.", "paragraph": 2}]}, ["A.\n\nB. Not so."],
     ["A. Not so.\n\nB."]),
    ("X ate 3.", {"steps": [{"do": "replace", "old": "X", "new": "Y"}]}, ["Y ate 3."], ["Y ate 4."]),
]
NOTE = {"notes": [{"span": "5 [ed.: write this number out: five]", "becomes": "five"}, {"span": "Bo [ed.: stet]",
 "becomes": "Bo"}]}
NOTES: list[Case] = [
    ("5 [ed.: write this number out: five] for Bo [ed.: stet].", NOTE, ["five for Bo."], ["5 for Bo.", "five for BO.",
     "six for Bo."]),
    ("A. B. [ed.: cut this sentence]", {"notes": [{"span": " B. [ed.: cut this sentence]", "becomes": ""}]}, ["A."], ["A. B."]),
    ("x Bo [ed.: stet] y", {"notes": [NOTE["notes"][1]]}, ["x Bo y"], ["x Bo [ed.: stet] y"]),
    ("Li [ed.: capitals] 7", {"notes": [{"span": "Li [ed.: capitals]", "becomes": "LI"}]}, ["LI 7"], ["LI 8"]),
    ("q Bo [ed.: stet]", {"notes": [NOTE["notes"][1]]}, ["q Bo"], ["q"]),
]
LIST = {"list_heading": "Sources"}
CITED: list[Case] = [
    ("A (Ek, 1999) b (Li, 2000).", LIST, ["A [1] b [2].\n\nSources\n[1] Ek, 1999\n[2] Li, 2000"],
     ["A [2] b [1].\n\nSources\n[1] Li, 2000\n[2] Ek, 1999", "A [1] b [2].\n\nSources\n[1] Li, 2000\n[2] Ek, 1999"]),
    ("(Ek, 1999) and (Ek, 1999)", LIST, ["[1] and [1]\n\nSources\n[1] Ek, 1999"],
     ["[1] and [2]\n\nSources\n[1] Ek, 1999\n[2] Ek, 1999"]),
    ("x (Ek, 1999)", LIST, ["x [1]\n\nSources\n[1] Ek, 1999"], ["x [1]\n\nSources\n[1] Ek, 1998"]),
    ("y (Ek, 1999)", LIST, ["y [1]\n\nSources\n[1] Ek, 1999"], ["y [1]"]),
    ("z (Ek, 1999) 8", LIST, ["z [1] 8\n\nSources\n[1] Ek, 1999"], ["z [1] 9\n\nSources\n[1] Ek, 1999"]),
]


def session(plain: str) -> dict[str, Any]:
    return {"session": {"plain": plain, "replace": {"old": "Bo", "new": "B"}, "term": "oak", "open": "*", "close": "*"}}


SESSION: list[Case] = [
    ("-", session("Bo, oak."), ["1. B, *oak*."], ["1. Bo, *oak*.", "1. B, oak.", "B, *oak*."]),
    ("-", session("Bo.\n\nAn oak."), ["1. B.\n\n2. An *oak*."], ["1. B.\n\nAn *oak*."]),
    ("-", session("oak oak"), ["1. *oak* *oak*"], ["1. *oak* oak"]),
    ("-", session("Bo has 3"), ["1. B has 3"], ["1. B has 4"]),
    ("-", session("Bo\n\nBo"), ["1. B\n\n2. B"], ["1. B\n\n2. Bo"]),
]


def parts(*named: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"parts": [{"kind": name, "checks": [name], "data": data} for name, data in named]}


PARTS: list[Case] = [
    ("Bo sat.", parts(("target_gone", {"targets": ["Bo"]}), ("only_named_changed", {**swap(("X", "*X*")), "source": "X sat."})),
     ["*X* sat."], ["X sat.", "*X* stood.", "*Bo* sat."]),
    ("b", parts(("target_gone", {"targets": ["q"]}), ("case_rule", {"case": {"name": "all_lower"}, "source": "B"})), ["b"],
     ["B"]),
    ("5", parts(("values_normalised", {"normal": "times", "source": "at 5 pm"})), ["at 17:00"], ["at 05:00"]),
    ("a\nb", parts(("order_right", {"order": {"by": "alphabetical"}, "source": "b\na"})), ["a\nb"], ["b\na"]),
    ("n", parts(("target_gone", {"targets": ["zz"]}), ("only_named_changed", {**swap(("n", "m")), "source": "n"})), ["m"],
     ["n"]),
]
TABLES = {
    "only_named_changed": NAMED, "pseudonyms_consistent": PSEUDONYMS, "masked": MASKED, "marks_right": MARKS,
    "faults_repaired": FAULTS, "order_right": ORDER, "inserted_once": INSERT, "one_value_changed": CLAIM,
    "values_normalised": NORMAL, "units_converted": UNITS, "changes_applied": STEPS, "comments_resolved": NOTES,
    "citations_numbered": CITED, "session_constraints_hold": SESSION, "parts_hold": PARTS,
}
GOOD = [(check, g, d, a) for check, cases in TABLES.items() for g, d, right, _ in cases for a in right]
BROKEN = [(check, g, d, a) for check, cases in TABLES.items() for g, d, _, wrong in cases for a in wrong]


@pytest.mark.parametrize(("check", "given", "data", "answer"), GOOD)
async def test_a_right_edit_passes(check: str, given: str, data: dict[str, Any], answer: str) -> None:
    assert await outcome(check, example(given, data, answer)) == "pass"


@pytest.mark.parametrize(("check", "given", "data", "answer"), BROKEN)
async def test_a_wrong_edit_of_the_same_form_fails(check: str, given: str, data: dict[str, Any], answer: str) -> None:
    assert await outcome(check, example(given, data, answer)) == "fail"


@pytest.mark.parametrize("check", sorted(TABLES))
def test_each_check_is_tried_on_five_right_and_five_wrong_edits(check: str) -> None:
    assert sum(g[0] == check for g in GOOD) >= 5
    assert sum(b[0] == check for b in BROKEN) >= 5


@pytest.mark.parametrize("check", sorted(TABLES))
async def test_a_check_without_its_parameters_does_not_apply(check: str) -> None:
    assert await outcome(check, example("text", {}, "text")) == "na"


@pytest.mark.parametrize(("gold", "answer", "wanted"), [
    ("a b", "a b", "pass"), ("a\nb", "a\r\nb\n", "pass"), ("é", "e\u0301", "pass"), ("a", "  a\n\n", "pass"), ("x\ny",
     "x  \ny", "pass"),
    ("a b", "a  b", "fail"), ("a b", "a c", "fail"), ("5", "6", "fail"), ("“a”", '"a"', "fail"), ("A", "a", "fail"),
])
async def test_gold_forgives_line_ends_and_nothing_else(gold: str, answer: str, wanted: str) -> None:
    assert await outcome("gold_edit", example("t", {}, answer, gold=gold)) == wanted
