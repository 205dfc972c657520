"""Which option an answer credits, and what in an item gives its key away."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from preceptor.checks import options as o
from preceptor.types import Document, Example, Gold, Instruction, Material, Option

PASSAGE = (
    "Since the ferry began to run at night, the inn by the landing has sold more suppers than ever. "
    "The innkeeper concedes that the harvest was good. No other house in the village has changed its prices. "
    "The night ferry, then, is what has saved the inn."
)
OPTIONS = (
    Option(
        "The road to the next town was closed for repairs in the same month.",
        "credited",
        "Travellers who had no road may have stayed, ferry or not.",
    ),
    Option(
        "Ferry passengers were counted at the landing and found to be hungry.",
        "reversed",
        "If it matters at all, this helps the innkeeper's reading.",
    ),
    Option(
        "The inn does not sell a supper to every passenger who lands.",
        "hits_a_stronger_claim",
        "Nobody claimed that all of them eat there.",
    ),
    Option(
        "Corn and apples were plentiful in the villages along the river.",
        "already_granted",
        "A good harvest has been conceded before.",
    ),
    Option(
        "Inns in the hills, where no boats go, had a poor season of it.",
        "wrong_group",
        "Houses in the hills are not what the claim is about.",
    ),
)
ASK: Any = SimpleNamespace(roles=frozenset({"teacher"}), seed="s")
SKILL: Any = SimpleNamespace(name="reading_comprehension", goals=(), checks={})


def item(text: str = "What discovery would give a friend of the innkeeper pause?", **changed: Any) -> Instruction:
    document = Document("d1", PASSAGE, "inn.txt")
    material = Material(document, "argument", PASSAGE, changed.pop("plan", {}))
    bare = Instruction(material, "weaken", text, "multiple_choice", OPTIONS, Gold("option", "A"))
    return replace(bare, **changed)


def answered(final: Any, answer: str = "", instruction: Instruction | None = None) -> Example:
    instruction = instruction or item()
    answer = answer or f"The road explains the suppers as well as the boat does. ({final})"
    return Example(instruction, answer, ({"role": "user", "content": instruction.text},), {"final": final})


GOOD_ANSWERS = {
    "a letter": ("A", "Another cause was at work. **A**"),
    "in brackets": ("(A)", "Another cause was at work.\n\n(A)"),
    "with a point": ("A.", "Answer: A"),
    "with a word for it": ("Option A", "The answer is (A), for the road was closed."),
    "in German": ("Antwort: A", "Die Straße war gesperrt. Antwort: A"),
    "in Hindi": ("उत्तर: A", "सड़क बंद थी। उत्तर: A"),
    "the option's text": (OPTIONS[0].text, f"It is this: {OPTIONS[0].text}"),
    "letter and text": ("A: " + OPTIONS[0].text, "A: " + OPTIONS[0].text),
    "a small letter": ("a", "So it has to be (A)."),
    "boxed": (r"\boxed{A}", "The road.\n\n**A**"),
    "as JSON": ('{"answer": "A"}', '{"answer": "A"}'),
    "after weighing the others": (
        "A",
        "(B) helps. (C) answers a claim nobody made. (D) and (E) are beside the point. (A) it is.",
    ),
}
BROKEN_ANSWERS = {
    "another letter": ("B", "Hungry passengers settle it. **B**"),
    "another option's text": (OPTIONS[3].text, f"It is this: {OPTIONS[3].text}"),
    "two letters": ("A or C", "Either would do: A or C."),
    "two letters with a comma": ("A, B", "A, B"),
    "letter and text disagree": ("A: " + OPTIONS[1].text, "A: " + OPTIONS[1].text),
    "a letter that is not there": ("F", "None of them. F"),
    "text and final disagree": ("A", "The answer is (C), since not all passengers eat."),
    "the last line says another": ("A", "Another cause was at work.\n\n**D**"),
    "the answer names none": ("A", "Something else may have brought the guests."),
    "nothing": ("", "I have weighed them all."),
    "a denial": ("not A", "It cannot be A."),
}


@pytest.mark.parametrize("case", GOOD_ANSWERS)
async def test_the_keyed_option_is_recognised_however_it_is_written(case: str) -> None:
    verdict = await o.option_key(answered(*GOOD_ANSWERS[case]), SKILL, ASK)
    assert (verdict.outcome, verdict.decides) == ("pass", True), verdict.evidence


@pytest.mark.parametrize("case", BROKEN_ANSWERS)
async def test_no_other_answer_counts_as_the_keyed_option(case: str) -> None:
    verdict = await o.option_key(answered(*BROKEN_ANSWERS[case]), SKILL, ASK)
    assert verdict.outcome == "fail"
    assert "keyed" not in verdict.hint
    assert OPTIONS[0].text not in verdict.hint


async def test_a_row_without_options_is_none_of_its_business() -> None:
    assert (await o.option_key(answered("A", instruction=item(options=(), gold=None)), SKILL, ASK)).outcome == "na"


def with_options(*texts: str, **changed: Any) -> Instruction:
    made = tuple(replace(option, text=text) for option, text in zip(OPTIONS, texts, strict=True))
    return item(options=made, **changed)


T = tuple(option.text for option in OPTIONS)
GOOD_ITEMS = {
    "as it is": item(),
    "key elsewhere": item(options=(*OPTIONS[1:], OPTIONS[0]), gold=Gold("option", "E")),
    "figures in two": with_options(T[0].replace("month", "month of 1911"), T[1].replace("counted", "counted in 1911"), *T[2:]),
    "hedges in two": with_options(
        "The road may have been closed for repairs at about that time.",
        "Ferry passengers may have been hungrier than other travellers.",
        *T[2:],
    ),
    "a longer wrong option": with_options(T[0], T[1] + " So were the boatmen on the pier.", *T[2:]),
    "four options": item(options=OPTIONS[:4]),
    "short options": with_options(
        "a closed road", "hungry passengers", "guests who leave", "a good harvest", "inns in the hills"
    ),
    "the month of May": with_options("The road was closed to carts for the whole of May that year.", *T[1:]),
    "a berth and a bus by number": with_options("The boat at Berth 6 had taken over from bus Number 9 that year.", *T[1:]),
    "only a wrong option has a figure": with_options(T[0], T[1].replace("counted", "counted in 1911"), *T[2:]),
    "a number word beside a figure": with_options(
        T[0].replace("the same month", "12 months"), T[1].replace("Ferry passengers", "Twelve passengers"), *T[2:]
    ),
    "ability and duty": with_options("The road to the next town must be closed when carts can no longer pass.", *T[1:]),
    "a doubt in what is granted": with_options(
        "The road to the next town was closed, although some carts might have passed.", *T[1:]
    ),
    "a bound": with_options("The road to the next town was only open before any of the repairs began.", *T[1:]),
    "every night": with_options("The road to the next town was closed for repairs every night then.", *T[1:]),
    "none is right any more": item(gold=Gold("none", None), answerability="unanswerable", goal="gone"),
}
BROKEN_ITEMS = {
    "two the same": with_options(T[0], T[1], T[1], T[3], T[4]),
    "the same words in another order": with_options(T[0], "The inn sells suppers.", "Suppers, the inn sells.", T[3], T[4]),
    "only one has a figure": with_options(T[0].replace("month", "month of 1911"), *T[1:]),
    "only the key has a number word": with_options(T[0].replace("the same month", "twelve months"), *T[1:]),
    "only the key may": with_options("The road to the next town may have been closed in that month.", *T[1:]),
    "only the key may, first word": with_options("It may be that in May the road to the next town was closed.", *T[1:]),
    "only the key has no hedge": with_options(
        T[0],
        "Perhaps the passengers were hungry at the landing.",
        "Perhaps the inn does not sell suppers to all who land.",
        "Perhaps corn and apples were plentiful along the river.",
        "Perhaps inns in the hills had a poor season of it.",
    ),
    "only the key is cautious": with_options("Perhaps the road to the next town was closed for repairs just then.", *T[1:]),
    "only the key is sweeping": with_options(
        "All roads to the next town were closed for repairs that month.",
        T[1],
        "The inn sells few suppers to the passengers who land.",
        *T[3:],
    ),
    "the key is much the longest": with_options(
        T[0][:-1] + ", so that carters and drovers who used to pass by had to spend the night.", *T[1:]
    ),
    "lengths too far apart": with_options(T[0], "No.", *T[2:]),
    "two are credited": item(options=(OPTIONS[0], replace(OPTIONS[1], role="credited"), *OPTIONS[2:])),
    "the key is not the credited one": item(gold=Gold("option", "B")),
    "a key that is not there": item(gold=Gold("option", "G")),
    "two options": item(options=OPTIONS[:2]),
}


@pytest.mark.parametrize("case", GOOD_ITEMS)
async def test_options_of_one_build_are_wellformed(case: str) -> None:
    verdict = await o.options_wellformed(Example(GOOD_ITEMS[case], "", ()), SKILL, ASK)
    assert verdict.outcome == "pass", verdict.evidence


@pytest.mark.parametrize("case", BROKEN_ITEMS)
async def test_options_that_give_themselves_away_are_found(case: str) -> None:
    verdict = await o.options_wellformed(Example(BROKEN_ITEMS[case], "", ()), SKILL, ASK)
    assert verdict.outcome == "fail"
    assert len(verdict.evidence) > 10


def cues(key: str, *others: str, language: str = "en") -> str:
    material = Material(Document("d", PASSAGE, "d", language=language), "identity", PASSAGE, language=language)
    made = tuple(Option(text) for text in (key, *others))
    return "; ".join(o.wrong_with_options(Instruction(material, "k", "?", "multiple_choice", made, Gold("option", "A"))))


BOATS = {
    "en": ("The boat lies at the old pier now.", "The boat lies out in the bay now.", "The boat lies by the inn now."),
    "de": ("Das Boot liegt am alten Steg nun.", "Das Boot liegt in der Bucht nun.", "Das Boot liegt vor dem Haus nun."),
    "hi": ("नाव अब घाट के पास है।", "नाव अब खाड़ी में खड़ी है।", "नाव अब घर के पास है।"),
}


@pytest.mark.parametrize(
    ("language", "key", "told"),
    [
        ("en", "There are 6 boats at the pier now.", ("A", "figure", "'6'")),
        ("en", "The boat lies there perhaps for good.", ("A", "hedge", "'perhaps'")),
        ("en", "The boat lies at Berth 6 for now.", ()),
        ("en", "In May the boat lies at the pier.", ()),
        ("de", "Vielleicht liegt das Boot am Steg.", ("A", "hedge", "'vielleicht'")),
        ("de", "Am Steg liegen nun sechs Boote.", ("A", "figure", "'sechs'")),
        ("de", "Das Boot kann nun an Platz 6 liegen.", ()),
        ("hi", "नाव शायद घाट पर खड़ी है।", ("A", "hedge", "शायद")),
        ("hi", "नाव घाट संख्या ६ पर खड़ी है।", ()),
    ],
)
def test_what_marks_the_key_is_named_with_its_letter_in_every_listed_language(
    language: str, key: str, told: tuple[str, ...]
) -> None:
    found = cues(key, *BOATS[language], language=language)
    assert bool(found) == bool(told), found
    assert all(word in found for word in told), found


PLAN = {"assumption": "that nothing else which brings travellers to the inn changed in those months"}
NO_LEAKS = {
    "as it is": item(plan=PLAN),
    "names the topic": item("What about the night ferry and the inn should be looked at again?", plan=PLAN),
    "no plan": item("Which finding would trouble the innkeeper most?"),
    "a fact of the passage": item(
        "The harvest was good and prices stood still; what else might a doubter bring up?", plan=PLAN
    ),
    "a word of each option": item("Roads, passengers, suppers, apples, hills: what speaks against the innkeeper?", plan=PLAN),
    "key in new words": item(plan=PLAN, gold=Gold("option", "A")),
}
LEAKS = {
    "the plan's words": item("What shows that nothing else which brings travellers to the inn changed?", plan=PLAN),
    "the plan in the item's data": item(
        "Find what denies that people had another reason to stay.", data={"gap": "people had another reason to stay the night"}
    ),
    "the key's words": item("Was the road to the next town closed for repairs, in which month, and what follows?"),
    "the key copied from the passage": with_options(
        "No other house in the village has changed its prices.", *T[1:], text="What is certain of the village?"
    ),
    "the key's rare words": item("What of a closed road under repairs in the month in question?"),
    "the plan with other points": item("Nothing else, which brings travellers, to the inn, changed: who says so?", plan=PLAN),
}


@pytest.mark.parametrize("case", NO_LEAKS)
async def test_a_question_may_speak_of_its_passage(case: str) -> None:
    verdict = await o.no_key_leak(Example(NO_LEAKS[case], "", ()), SKILL, ASK)
    assert verdict.outcome == "pass", verdict.evidence


@pytest.mark.parametrize("case", LEAKS)
async def test_a_question_that_gives_plan_or_key_away_is_found(case: str) -> None:
    assert (await o.no_key_leak(Example(LEAKS[case], "", ()), SKILL, ASK)).outcome == "fail"


def reasons(**by_letter: str) -> Instruction:
    made = tuple(replace(x, reason=by_letter.get(letter, x.reason)) for letter, x in zip("ABCDE", OPTIONS, strict=True))
    return item(options=made)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (reasons(), "pass"),
        (reasons(B="It says nothing that would trouble anybody."), "pass"),
        (reasons(A="Here is another cause.", E="Hills are elsewhere, and boats too."), "pass"),
        (item(options=OPTIONS[:4]), "pass"),
        (item(options=()), "na"),
        (reasons(C="Such a claim is stronger than the one that was made."), "pass"),
        (reasons(B=""), "fail"),
        (reasons(B="wrong"), "fail"),
        (reasons(B=OPTIONS[2].reason), "fail"),
        (reasons(B="Houses in the hills are not what this claim is about."), "fail"),
        (reasons(D=OPTIONS[3].text), "fail"),
        (reasons(A="   "), "fail"),
    ],
)
async def test_each_option_has_a_reason_of_its_own(made: Instruction, outcome: str) -> None:
    assert (await o.distractor_reasons(Example(made, "", ()), SKILL, ASK)).outcome == outcome


EDITED = replace(
    item(),
    material=Material(item().material.document, "argument", "The inn is shut.", parent=item().material),
    data={"step": "The innkeeper concedes that the harvest was good."},
)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (item(data={"step": "The night ferry, then, is what has saved the inn."}), "pass"),
        (item(data={"step": "the night ferry, then, is what has saved the inn"}), "pass"),
        (item(gold=Gold("option", "A", ("No other house in the village has changed its prices.",))), "pass"),
        (item(data={"support": [{"role": "reworded", "quote": "the harvest was good"}]}), "pass"),
        (item("What part does “the harvest was good” play?", data={"statement": "the harvest was good"}), "pass"),
        (EDITED, "pass"),
        (item(), "na"),
        (item(data={"step": "The night ferry, then, is what has ruined the inn."}), "fail"),
        (item(gold=Gold("option", "A", ("No other house in the town has changed its prices.",))), "fail"),
        (item(data={"support": [{"role": "reworded", "quote": "the harvest was poor"}]}), "fail"),
        (item("What part does “the harvest was bad” play?", data={"statement": "the harvest was good"}), "fail"),
        (item(data={"supports": ["more suppers than ever", "fewer suppers than ever"]}), "fail"),
        (replace(EDITED, data={"step": "The innkeeper denies that the harvest was good."}), "fail"),
    ],
)
async def test_what_is_called_copied_stands_in_the_passage(made: Instruction, outcome: str) -> None:
    assert (await o.quotes_stand(Example(made, "", ()), SKILL, ASK)).outcome == outcome


MARKS = {
    "conclusion": "The night ferry, then, is what has saved the inn.",
    "concession": "The innkeeper concedes that the harvest was good.",
    "premises": ["No other house in the village has changed its prices."],
}


@pytest.mark.parametrize(
    ("statement", "part", "outcome"),
    [
        ("The night ferry, then, is what has saved the inn.", "main_conclusion", "pass"),
        ("is what has saved the inn", "main_conclusion", "pass"),
        ("the harvest was good", "concession", "pass"),
        ("No other house in the village has changed its prices", "premise", "pass"),
        ("no other house in the village has changed its prices.", "subsidiary_conclusion", "pass"),
        ("Since the ferry began to run at night", "background", "na"),
        ("The night ferry, then, is what has saved the inn.", "premise", "fail"),
        ("is what has saved the inn", "opposing_view", "fail"),
        ("the harvest was good", "main_conclusion", "fail"),
        ("the harvest was good", "premise", "fail"),
        ("No other house in the village has changed its prices", "main_conclusion", "fail"),
        ("No other house in the village has changed its prices", "concession", "fail"),
    ],
)
async def test_a_statement_has_the_part_that_the_plan_marked(statement: str, part: str, outcome: str) -> None:
    made = item(plan=MARKS, data={"statement": statement, "part": part})
    assert (await o.marks_agree(Example(made, "", ()), SKILL, ASK)).outcome == outcome


def stand(role: str, first: str, second: str, **quotes: str) -> dict[str, str]:
    made = {"role": role, "first": first, "second": second}
    made |= {f"{who}_quote": "words" for who in ("first", "second") if made[who] != "silent"}
    return {k: v for k, v in {**made, **quotes}.items() if v}


SPLIT = [
    stand("credited", "affirms", "denies"),
    stand("accepted_by_both", "affirms", "affirms"),
    stand("one_is_silent", "affirms", "silent"),
    stand("both_are_silent", "silent", "silent"),
    stand("too_strong", "denies", "denies"),
]
UNITED = [
    stand("credited", "affirms", "affirms"),
    stand("disputed", "affirms", "denies"),
    stand("held_by_one", "silent", "denies"),
    stand("out_of_scope", "silent", "silent"),
    stand("too_strong", "silent", "affirms"),
]


@pytest.mark.parametrize(
    ("table", "wanted", "outcome"),
    [
        (SPLIT, "opposed", "pass"),
        ([stand("credited", "denies", "affirms"), *SPLIT[1:]], "opposed", "pass"),
        (SPLIT[::-1], "opposed", "pass"),
        (UNITED, "shared", "pass"),
        ([stand("credited", "denies", "denies"), *UNITED[1:]], "shared", "pass"),
        (SPLIT[:3], "opposed", "pass"),
        ([], "opposed", "na"),
        ([stand("credited", "affirms", "silent"), *SPLIT[1:]], "opposed", "fail"),
        ([stand("credited", "affirms", "affirms"), *SPLIT[1:]], "opposed", "fail"),
        ([SPLIT[0], *SPLIT[1:4], stand("too_strong", "affirms", "denies")], "opposed", "fail"),
        ([stand("credited", "affirms", "denies", second_quote=""), *SPLIT[1:]], "opposed", "fail"),
        ([stand("credited", "affirms", "silent"), *UNITED[1:]], "shared", "fail"),
        ([UNITED[0], stand("disputed", "affirms", "affirms"), *UNITED[2:]], "shared", "fail"),
    ],
)
async def test_the_record_of_who_says_what_fits_the_key_alone(table: list[Any], wanted: str, outcome: str) -> None:
    made = item(data={"stands": table, "wanted": wanted})
    assert (await o.agreement_table(Example(made, "", ()), SKILL, ASK)).outcome == outcome


SAME = [
    ("All A are B; x is not B; so x is not A", "x is not Q; all P are Q; so x is not P"),
    ("If A then B; if B then C; so if A then C", "If M then N; if L then M; so if L then N"),
    ("Most A are B; x is A; therefore probably x is B", "Most C are D; y is C; so probably y is D"),
    ("A or B; not A; so B", "F or G; not F; hence G"),
    ("x is an A; so x is B", "y is an E; so y is F"),
    ("Wenn A, dann B; A; also B", "Wenn P, dann Q; P; also Q"),
]
DIFFERENT = [
    ("All A are B; x is not B; so x is not A", "All A are B; x is B; so x is A"),
    ("All A are B; x is A; so x is B", "Most A are B; x is A; so x is B"),
    ("If A then B; A; so B", "If A then B; B; so A"),
    ("A or B; not A; so B", "A or B; A; so not B"),
    ("If A then B; A; so B", "If A then B; C; so B"),
    ("x is A; so x must be B", "x is A; so x may be B"),
    ("If A then B; A; so B", "If A then B; if B then C; A; so C"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_form_in_other_letters_is_one_form(left: str, right: str) -> None:
    assert o.skeleton(left) == o.skeleton(right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_forms_that_differ_in_one_place_differ(left: str, right: str) -> None:
    assert o.skeleton(left) != o.skeleton(right)


ROLES = [option.role for option in OPTIONS]
FORMS = dict(
    zip(
        ROLES,
        [
            "If P then Q; P; so Q",
            "If P then Q; Q; so P",
            "If P then usually Q; P; so Q",
            "P or Q; P; so Q",
            "If P then Q; R; so Q",
        ],
        strict=True,
    )
)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "pass"),
        ({"credited": "M; if M then N; so N"}, "pass"),
        ({"wrong_group": "Q; so P"}, "pass"),
        ({"credited": "If A then B; A; therefore B"}, "pass"),
        ({"reversed": "If Q then P; P; so Q; so P"}, "pass"),
        ({"already_granted": "P and Q; so Q"}, "pass"),
        ({"credited": "If P then Q; Q; so P"}, "fail"),
        ({"credited": "If P then probably Q; P; so Q"}, "fail"),
        ({"reversed": "If S then T; S; so T"}, "fail"),
        ({"hits_a_stronger_claim": "P; if P then Q; so Q"}, "fail"),
        ({"credited": "If P then Q; not P; so not Q"}, "fail"),
        ({"credited": "If P then Q; if Q then R; P; so R"}, "fail"),
        ({"another_role": "P; so P"}, "fail"),
    ],
)
async def test_the_credited_argument_alone_has_the_form(changed: dict[str, str], outcome: str) -> None:
    forms = [{"role": role, "form": form} for role, form in {**FORMS, **changed}.items()]
    made = item(data={"form": "If A then B; A; so B", "forms": forms})
    assert (await o.form_match(Example(made, "", ()), SKILL, ASK)).outcome == outcome


SENTENCE = "The night ferry, then, is what has saved the inn."


@pytest.mark.parametrize(
    ("final", "answer", "outcome"),
    [
        (SENTENCE, SENTENCE, "pass"),
        (SENTENCE.rstrip("."), f"It is “{SENTENCE}”", "pass"),
        (f"“{SENTENCE}”", f"> {SENTENCE}", "pass"),
        ("the night ferry is what saved it", "Short: the night ferry is what saved it.", "pass"),
        ("  " + SENTENCE, f"The sentence is:\n\n{SENTENCE}", "pass"),
        (SENTENCE.replace("then, ", "then,  "), SENTENCE, "pass"),
        ("The innkeeper concedes that the harvest was good.", "The innkeeper concedes that the harvest was good.", "fail"),
        (SENTENCE.replace("saved", "ruined"), SENTENCE.replace("saved", "ruined"), "fail"),
        (SENTENCE.replace("night ", ""), SENTENCE.replace("night ", ""), "fail"),
        (PASSAGE, PASSAGE, "fail"),
        ("", "No sentence carries it.", "fail"),
        (SENTENCE, "The innkeeper concedes that the harvest was good.", "fail"),
    ],
)
async def test_the_sentence_itself_is_copied_and_nothing_else(final: str, answer: str, outcome: str) -> None:
    made = replace(item(options=()), shape="short", gold=Gold("text", SENTENCE, accepts=("the night ferry is what saved it",)))
    verdict = await o.sentence_copied(answered(final, answer, made), SKILL, ASK)
    assert verdict.outcome == outcome, verdict.evidence
