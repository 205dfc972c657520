"""Requests that can be read as requests, and what a small model leaves where one should be."""

from types import SimpleNamespace
from typing import Any

import pytest

from preceptor.checks.sense import senseless, wording_sense
from preceptor.types import Document, Example, Instruction, Material

ASK: Any = SimpleNamespace(roles=frozenset({"teacher"}), seed="s")
PASSAGE = (
    "Dear {first_name}, your order {order_id} is on its way. Row, row, row, row your boat. The keeper wrote: tap tap tap. "
    "The set {a, b} is closed."
)

GOOD = [
    ("Who moved the ledger out of the boathouse, and when?", "en"),
    ("Summarise.", "en"),
    ("Replace {first_name} by Ragna wherever it stands.", "en"),
    ('Rename the placeholder "{id}" to "{number}" in the template.', "en"),
    ('Which call does `GET /users/{id}` need before `{"name": "x"` can be sent?', "en"),
    ("Compute 3*(4+5)/7 - 2^10 and round to two places.", "en"),
    ("What is $\\frac{a}{b} + x_{i}$ for i = 3?", "en"),
    ("Fill in the table:\n| a | b |\n|---|---|\n| 1 | 2 |\n| {x | } |", "en"),
    ('Turn this into YAML: {"name": "Vik", "boats": [1, 2, {"n": 3}]}', "en"),
    ("Put marks around every mention of “Mira Osei”: ~~…~~; “evening”: ==…==.", "en"),
    ("Could you see to this for me? the number: CH-2115; the new place: loft 208.", "en"),
    ("Wer hat das Rechnungsbuch aus dem Bootshaus getragen?", "de"),
    ("Kürze den Brief auf höchstens fünfzig Wörter, ohne einen Namen zu streichen.", "de"),
    ("चौकीदार ने बहीखाता नाव घर से कब हटाया?", "hi"),
    ("पाठ के अनुसार पहले साल में चक्की ने कितनी बोरियाँ पीसीं?", "hi"),
    ("Put [NAME] where a name stood and <num> … </num> around figures.", "en"),
    ("What does the keeper mean by “tap tap tap tap tap”?", "en"),
    ("Order by year:\n- mill burns\n- Lind rebuilds\n- Ragna moves ledger", "en"),
    ("Кто перенёс бухгалтерскую книгу из лодочного сарая в часовню после пожара?", "ru"),
    ("That that is is; that that is not is not. What is that?", "en"),
    ("Welcher Satz steht für „no, no, no, no“ im Protokoll?", "de"),
    ("Question: who rebuilt the mill at Vik after the fire?", "en"),
    ("x", "en"),
]
BROKEN = [
    ("`` {text} {data}, {id}} ...", "en"),
    ("Read {text} and answer about {data}.", "en"),
    ("What does {{ material.text }} say of the mill?", "en"),
    ("Please edit the letter from [insert name here] to the board.", "en"),
    ("{% for q in avoid %} Who rebuilt it?", "en"),
    ('"question": "Who rebuilt the mill at Vik?", "answer": "', "en"),
    ('Who rebuilt it?"}], "kind": "literal"}', "en"),
    ("Who rebuilt the mill at Vik? }}", "en"),
    ("the the the the mill of the mill", "en"),
    ("Change the name of the mill, change the name of the mill, change the name of the mill.", "en"),
    ("Was steht im Brief, im Brief, im Brief, im Brief, im Brief?", "de"),
    ("Question: Who rebuilt it?\nAnswer: Lind\nEvidence: rebuilt by Lind", "en"),
    ("<document-3fa9> Who rebuilt it?", "en"),
    ("request", "en"),
    ("text, data: string", "en"),
    ("mill boathouse ledger chapel keeper fire sacks families", "en"),
    ("Mühle Bootshaus Kapelle Feuer Säcke Familien Anteile Ledger", "de"),
    ("चक्की नावघर बही आग बोरी परिवार हिस्सा गिरजाघर", "hi"),
    ("<<>> [] -- {} // || ## ** a ;; !! ??", "en"),
    ("... , ; ... !!", "en"),
    ("   ", "en"),
    ("पाठ {text} में क्या लिखा है?", "hi"),
    ("नाव घर नाव घर नाव घर नाव घर में क्या है?", "hi"),
    ("Что такое {text} и {data}?", "ru"),
]


def row(text: str, language: str) -> Example:
    material = Material(Document("d", PASSAGE, "d.md", language=language), "identity", PASSAGE, language=language)
    return Example(Instruction(material, "k", text), "", ())


@pytest.mark.parametrize(("text", "language"), GOOD)
async def test_a_request_may_hold_code_tables_formulas_and_quoted_names(text: str, language: str) -> None:
    verdict = await wording_sense(row(text, language), None, ASK)
    assert verdict.outcome == "pass", verdict.evidence
    assert not verdict.decides


@pytest.mark.parametrize(("text", "language"), BROKEN)
async def test_what_is_no_request_is_told_by_its_surface(text: str, language: str) -> None:
    verdict = await wording_sense(row(text, language), None, ASK)
    assert verdict.outcome == "fail"
    assert len(verdict.evidence.split()) >= 4


def test_without_a_list_of_function_words_only_the_mechanics_count() -> None:
    assert senseless("мельница сарай книга часовня огонь мешки семьи доли", "ru") == ""
