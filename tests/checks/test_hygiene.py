"""Hygiene: what no answer may have, and what looks like it and is fine."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from preceptor.checks import hygiene as h
from preceptor.types import Agent, Document, Example, Gold, Instruction, Material, Option

PASSAGE = (
    "The clerk wrote: I cannot help with the lease, as an AI assistant I have no say in it. Table 2 lists the arrears. "
    "Three tenants had paid by Friday, and the fourth asked for a week. The landlord granted it in writing."
)
SECRET = " ".join(f"word{i}" for i in range(200))
ASK: Any = SimpleNamespace(roles=frozenset({"teacher"}), seed="s")
PROMPT = (
    "You weigh the tenants against one another in silence and then set down whichever finding the lease can bear without help."
)
SKILL: Any = SimpleNamespace(name="s", goals=(), checks={}, agents={"4_respond/answer": Agent("4_respond/answer", PROMPT)})
OPTIONS = (
    Option("The fourth tenant", "credited", "The record shows beyond doubt that this one alone asked for more time."),
    Option("The landlord", "true_but_irrelevant", "He grants the request that is made by somebody else here."),
)


def row(answer: str, language: str = "en", **changed: Any) -> Example:
    hidden = changed.pop("hidden", PASSAGE)
    reasoning = changed.pop("reasoning", "")
    material = Material(Document("d", hidden, "lease.txt", language=language), "argument", PASSAGE, changed.pop("plan", {}))
    made = replace(Instruction(material, "who", "Who asked for more time?", gold=Gold("text", "the fourth tenant")), **changed)
    shown = f"{PASSAGE}\n\n{made.text}" if made.shows_material else made.text
    return Example(
        made,
        answer,
        ({"role": "user", "content": shown}, {"role": "assistant", "content": answer}),
        {"final": "the fourth"},
        reasoning=reasoning,
    )


PLAIN = "Three had paid by Friday; the fourth tenant asked for a week, and got it."
EDIT: dict[str, Any] = {"shape": "edit", "gold": None}

GOOD: dict[str, list[Example]] = {
    "refusal": [
        row(PLAIN),
        row('The clerk refused: "I can\'t help with the lease." The fourth tenant asked.'),
        row("I cannot help with the lease, wrote the clerk; the fourth tenant asked."),
        row("The text does not say. Nothing in it tells who asked first."),
        row("I can't assist you there.", answerability="forbidden"),
        row("Das sagt der Text nicht.", "de"),
        row("चौथे किरायेदार ने समय माँगा।", "hi"),
        row(
            "I cannot provide the lease, wrote the clerk, who has no say. Three tenants had paid by Friday, the fourth asked "
            "for a week, and the landlord granted it in writing.",
            **EDIT,
        ),
    ],
    "disclaimer": [
        row(PLAIN),
        row("As an AI assistant I have no say in it, wrote the clerk."),
        row("It was deployed as an AI tool for clerks."),
        row("He says, “I'm an AI”, and leaves."),
        row("Der vierte Mieter bat um Aufschub.", "de"),
        row("चौथे ने समय माँगा।", "hi"),
    ],
    "cut_text": [
        row(PLAIN),
        row("B"),
        row("The fourth tenant"),
        row("First this. Then that. So the answer must be B"),
        row("First this. Then that.\n\nFinal answer: B"),
        row("First this was paid. Then that was paid.\n\nAnswer: the fourth tenant of the house on the quay"),
        row("First this was paid. Then that was paid.\n\n**Answer:** the fourth tenant of the house, vitamin A"),
        row("First this was paid. Then that was paid. It is so.\nthe fourth"),
        row("Erst wurde dies bezahlt. Dann das.\n\nAntwort: der vierte Mieter in dem Haus am Kai", "de"),
        row("पहले यह हुआ। फिर वह हुआ।\n\nउत्तर: घाट के पास वाले घर का चौथा किरायेदार", "hi"),
        row("Two asked:\n- the fourth tenant, who wanted a whole week more\n- nobody else of the others in the house"),
        row("```python\nprint('x')\n```"),
        row('{"answer": "the fourth"}'),
        row("चौथे किरायेदार ने एक सप्ताह का समय माँगा।", "hi"),
        row("Dear Sir,\nThe rent is paid. The week is granted.\n\nKind regards,\nA. Moreau"),
        row("| who | paid |\n|---|---|\n| three of the four tenants here | by Friday |"),
    ],
    "placeholder": [
        row(PLAIN),
        row("See section [3] and the note [sic]."),
        row("Dear [NAME], paid.", text="Replace each name by [NAME]."),
        row("Dear [Name], paid.", gold=Gold("edit", "Dear [Name], paid.")),
        row("```python\n# TODO later\nx = 1\n```"),
        row("The town of Todo lies <10 km away."),
        row("He wrote [a long pause] and left."),
    ],
    "chat_tokens": [
        row(PLAIN),
        row("Tom: I think so.\nIna: I do not."),
        row("The token `<|im_end|>` closes a turn."),
        row("a < b | c > d"),
        row("<b>bold</b> and <s>struck</s>", text="Explain <s>, </s> in HTML."),
        row("## Assistant staff\n\nThree people."),
    ],
    "repetition": [
        row(PLAIN * 2),
        row("No, no, no. " + PLAIN + " " + PLAIN),
        row("0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"),
        row(
            "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\nLife is but a dream, we say."
        ),
        row(" ".join(f"Item {i} was paid by tenant {i}." for i in range(20))),
        row("short"),
    ],
    "wrong_language": [
        row(" ".join([PLAIN] * 3)),
        row(
            "Drei hatten bis Freitag bezahlt, und der vierte Mieter bat um eine Woche; die wurde ihm von "
            "dem Vermieter auch schriftlich gewährt, wie es im Brief heißt.",
            "de",
        ),
        row(
            "तीन किरायेदारों ने शुक्रवार तक भुगतान कर दिया था और चौथे ने एक सप्ताह का समय माँगा जिसे मकान मालिक ने लिखित रूप में दे दिया था।",
            "hi",
        ),
        row("B"),
        row(
            '{"who": "the fourth tenant", "asked": "for a week more than the others", "got": "it in the end and in ink"}',
            "de",
        ),
        row(
            "Drei hatten bis Freitag bezahlt, und der vierte Mieter bat um eine Woche; die wurde ihm von dem Herrn gewährt.",
            data={"target_language": "de"},
        ),
    ],
    "prompt_echo": [
        row(PLAIN),
        row("The fourth tenant asked for more time."),
        row(PASSAGE, **EDIT),
        row("Who asked for more time? The fourth."),
        row("The tags <b> and </b> are kept."),
        row("The lease can bear that finding."),
    ],
    "dangling_reference": [
        row(PLAIN),
        row("According to the passage it was the fourth.", text="According to the passage, who asked for more time?"),
        row(PLAIN, text="What does Table 2 list?"),
        row("It freezes.", text="What does water do at night in the hills?", shows_material=False),
        row("Paid.", text="Sort these: " + "the text above is here. " * 40, shows_material=False),
        row('He said "as mentioned above".', text="What is a cliché of letters?", shows_material=False),
    ],
    "leaked_making": [
        row(PLAIN, options=OPTIONS),
        row("The landlord only grants it, so (B) is true but irrelevant.", options=OPTIONS),
        row('The text says "the answer key says so".', options=OPTIONS),
        row(PLAIN, plan={"assumption": "that a week is enough for him"}),
        row("The fourth; three tenants had paid by Friday, and the fourth asked for a week.", data={"derivation": PASSAGE}),
        row(PLAIN, plan={"flaw": "sequence_for_cause"}, reasoning="First the record, then the request."),
        row(
            "So three of the tenants are payers by that Friday, and a week is granted.",
            data={"clash": "three of the tenants are payers by that Friday"},
        ),
        row(
            "It is the landlord who grants in writing what the fourth has asked for.",
            data={"derivation": "The landlord who grants in writing what the fourth has asked for is bound."},
        ),
        row(
            "So the arrears listed were those of the fourth one of the four.",
            plan={"assumption": "the arrears listed were those of the fourth one"},
        ),
    ],
    "verbatim_seed": [
        row(PLAIN),
        row(PLAIN, hidden=SECRET),
        row(" ".join(SECRET.split()[:50]), hidden=SECRET),
        row(PASSAGE),
        row(" ".join(SECRET.split()[::2]), hidden=SECRET),
        row(SECRET, hidden=SECRET, history=({"role": "user", "content": SECRET},)),
    ],
}
BROKEN: dict[str, list[Example]] = {
    "refusal": [
        row("I'm sorry, I can't help with that."),
        row("I cannot assist with this request."),
        row("I’m unable to help here."),
        row("Dabei kann ich nicht helfen.", "de"),
        row("मैं इसमें मदद नहीं कर सकता।", "hi"),
        row("I must decline.", **EDIT),
        row("Ich bin untröstlich, aber damit kann ich nicht helfen.", "de"),
    ],
    "disclaimer": [
        row("As an AI language model, I think the fourth."),
        row("The fourth. I hope this helps!"),
        row("My training data says: the fourth."),
        row("Als Sprachmodell kann ich sagen: der vierte.", "de"),
        row("एक एआई के रूप में मैं कहूँगा: चौथा।", "hi"),
        row("The fourth. This is not legal advice."),
    ],
    "cut_text": [
        row("Three had paid. The fourth asked for a week. The landlord granted it in writing and"),
        row("Three had paid by Friday. The fourth asked. After that the landlord went on to consider whether"),
        row("```python\nprint('x')"),
        row("The fourth tenant, who had been late before, and who asked the"),
        row("First this was paid. Then that was paid.\n\nAnswer: the fourth tenant of the house and the"),
        row("First this was paid. Then that was paid.\n\nAnswer: the fourth tenant, who had been late before,"),
        row("First this was paid. Then that was paid.\n\nAnswer: the fourth tenant (of the house"),
        row("It was the fourth, [truncated]"),
        row("Three tenants had already paid by then,"),
        row("तीन ने भुगतान किया। चौथे ने समय माँगा। मकान मालिक ने लिखित रूप में समय दिया और", "hi"),
        row("Drei hatten bezahlt. Der vierte bat um Aufschub. Der Vermieter gewährte ihn schriftlich und", "de"),
    ],
    "placeholder": [
        row("Dear [Name], you have a week."),
        row("Lorem ipsum dolor sit amet."),
        row("The tenant is <insert name>."),
        row("TODO: name the tenant."),
        row("Dear {{ tenant_name }}, you have a week."),
        row("Yours, [Your Name]"),
        row("प्रिय [नाम], आपको एक सप्ताह मिला।", "hi"),
        row("Der Mieter heißt: Name einfügen", "de"),
    ],
    "chat_tokens": [
        row("The fourth.<|im_end|>"),
        row("[INST] The fourth. [/INST]"),
        row("The fourth.</s>"),
        row("<think>hm</think>The fourth."),
        row("The fourth.\n### User:\nAnd now?"),
        row("Assistant: The fourth."),
        row('<fields>{"a": 1}</fields>'),
    ],
    "repetition": [
        row("The fourth tenant asked. " * 8),
        row("Three had paid by Friday, as the clerk wrote.\n" * 4 + PLAIN),
        row("paid " * 40),
        row(PLAIN + " and then and then and then and then and then and then and then and then and then"),
        row("किरायेदार ने समय माँगा और फिर " * 8, "hi"),
        row("A lead-in of several words. Who asked? It was the fourth tenant who did so. " * 4),
    ],
    "wrong_language": [
        row(" ".join([PLAIN] * 3), "de"),
        row(" ".join([PLAIN] * 3), "hi"),
        row("Drei hatten bis Freitag bezahlt, und der vierte Mieter bat um eine Woche; die wurde ihm von dem Herrn gewährt."),
        row("तीन किरायेदारों ने शुक्रवार तक भुगतान कर दिया था और चौथे ने एक सप्ताह का समय माँगा जिसे मकान मालिक ने लिखित रूप में दे दिया था।"),
        row("Trois des locataires ont payé avant la fin du mois, et le quatrième a demandé une semaine, qui lui est accordée."),
        row(" ".join([PLAIN] * 3), data={"target_language": "de"}),
    ],
    "prompt_echo": [
        row("<material-3fa9> The fourth."),
        row("You are one of several specialists. The fourth."),
        row("The question is " + " ".join(f"q{i}" for i in range(30)), text=" ".join(f"q{i}" for i in range(30))),
        row("And then set down whichever finding the lease can bear without help: the fourth."),
        row("Here is the answer in the requested format: the fourth."),
        row("I weigh the tenants against one another in silence and then set down whichever fits."),
    ],
    "dangling_reference": [
        row("As mentioned above, the fourth.", shows_material=False),
        row("The fourth.", text="According to the text, who asked?", shows_material=False),
        row("The document provided names the fourth.", shows_material=False),
        row("It grows.", text="What does Figure 3 show of the rents?"),
        row("Laut Text der vierte.", "de", shows_material=False),
        row("गद्यांश के अनुसार चौथा।", "hi", shows_material=False),
        row("The fourth.", text="What do the arrears in Table 7 add up to?"),
    ],
    "leaked_making": [
        row("The credited option is (A).", options=OPTIONS),
        row("(B) is true_but_irrelevant.", options=OPTIONS),
        row("The record shows beyond doubt that this one alone asked.", options=OPTIONS),
        row(PLAIN, options=OPTIONS, reasoning="According to the answer key it is A."),
        row("This is sequence_for_cause.", plan={"flaw": "sequence_for_cause"}),
        row(
            "It is supposed that nobody but him was ever late with rent.",
            plan={"assumption": "that nobody but him was ever late with rent"},
        ),
        row(
            "The landlord who grants it in writing has secretly sold the house to the clerk.",
            data={"derivation": "The landlord who grants it in writing has secretly sold the house to the clerk."},
        ),
        row("Der Lösungsschlüssel nennt den vierten.", "de"),
        row("छिपे हुए दस्तावेज़ में चौथे का नाम है।", "hi"),
    ],
    "verbatim_seed": [
        row(" ".join(SECRET.split()[:51]), hidden=SECRET),
        row(SECRET, hidden=SECRET),
        row("So: " + " ".join(SECRET.split()[90:150]), hidden=SECRET),
        row(PLAIN, hidden=SECRET, text="Who? " + " ".join(SECRET.split()[10:70]), shows_material=False),
        row(" ".join(SECRET.upper().split()[:60]), hidden=SECRET),
        row(", ".join(SECRET.split()[:60]), hidden=SECRET),
    ],
}
CASES = [(name, number, "fail") for name, rows in BROKEN.items() for number in range(len(rows))]
CASES += [(name, number, "fine") for name, rows in GOOD.items() for number in range(len(rows))]


@pytest.mark.parametrize(("name", "number", "wanted"), CASES)
async def test_what_no_row_may_have_is_found_and_what_looks_like_it_is_not(name: str, number: int, wanted: str) -> None:
    example = (BROKEN if wanted == "fail" else GOOD)[name][number]
    verdict = await getattr(h, name)(example, SKILL, ASK)
    assert (verdict.outcome == "fail") == (wanted == "fail"), f"{verdict.outcome}: {verdict.evidence}"
    assert not verdict.decides


@pytest.mark.parametrize("name", GOOD)
async def test_every_check_has_six_rows_of_either_sort(name: str) -> None:
    assert min(len(GOOD[name]), len(BROKEN[name])) >= 6


@pytest.mark.parametrize("name", ["refusal", "disclaimer", "dangling_reference", "leaked_making"])
async def test_a_language_without_a_list_is_not_called_clean(name: str) -> None:
    assert (await getattr(h, name)(row("Не могу.", "ru"), SKILL, ASK)).outcome == "na"


@pytest.mark.parametrize("name", GOOD)
async def test_an_item_that_nobody_has_answered_passes(name: str) -> None:
    assert (await getattr(h, name)(Example(row("").instruction, "", ()), SKILL, ASK)).outcome != "fail"


def test_every_list_speaks_english_german_and_hindi() -> None:
    assert all({"en", "de", "hi"} <= set(lists) for lists in h.phrases().values())
