"""Flow 2: kinds routed by genre and role, and how the fields of a generator become a task with its gold."""

from pathlib import Path
from typing import Any

import pytest

from flows.makings import TEXT, document, door, material, skill, template
from preceptor.errors import ReplyError
from preceptor.flows.flow2_instruct import instruct, slots, suiting
from preceptor.flows.row import options_text
from preceptor.flows.shapes import LETTERS, instruction_of
from preceptor.models.scripted import prompt_of
from preceptor.plan import plan_of
from preceptor.recipe import recipe_of
from preceptor.skill import Kind, Skill, load_skill
from preceptor.types import Dropped, Gold, Instruction

ROUTES = {
    "2_instruct/taxonomy.toml": """
        [[kind]]
        name = "count"
        [[kind]]
        name = "of_argument"
        suits = ["argument"]
        agent = "count"
        [[kind]]
        name = "of_tables"
        suits = ["identity/table", "argument"]
        agent = "count"
        [[kind]]
        name = "judged"
        needs = ["judge"]
        agent = "count"
        [[kind]]
        name = "german"
        languages = ["de"]
        agent = "count"
        [[kind]]
        name = "named_only"
        tier = "listed"
    """
}


@pytest.mark.parametrize(
    ("genre", "document_kind", "roles", "language", "kinds"),
    [
        ("identity", "prose", {"teacher"}, "en", ["count"]),
        ("identity", "table", {"teacher"}, "en", ["count", "of_tables"]),
        ("argument", "prose", {"teacher"}, "en", ["count", "of_argument", "of_tables"]),
        ("notice", "table", {"teacher"}, "en", ["count"]),
        ("identity", "prose", {"teacher", "judge"}, "en", ["count", "judged"]),
        ("identity", "prose", {"teacher"}, "de", ["count", "german"]),
    ],
)
def test_kinds_are_routed_by_genre_document_role_and_language(
    genre: str, document_kind: str, roles: set[str], language: str, kinds: list[str], tmp_path: Path
) -> None:
    made = material(genre, kind=document_kind, language=language)
    assert [k.name for k in suiting(made, skill(tmp_path, ROUTES), door(roles=roles))] == kinds


def test_kinds_left_out_for_want_of_a_role_are_named_with_the_line_that_would_help(tmp_path: Path) -> None:
    pack = skill(tmp_path, ROUTES).path
    plan = plan_of(recipe_of({"skills": [str(pack)], "teacher": "local", "documents": ["x"]}, tmp_path))
    (missed,) = plan.skipped()
    assert (missed["skill"], missed["kind"], missed["role"]) == ("small", "judged", "judge")
    assert missed["line"].startswith("judge = {")


async def test_material_that_no_kind_suits_is_dropped_with_its_genre(tmp_path: Path) -> None:
    only = {"2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nsuits = ["argument"]\n'}
    (lost,) = await instruct(material("poem"), skill(tmp_path, only), door())
    assert isinstance(lost, Dropped)
    assert lost.reason == "no kind of small suits material of genre poem"


async def test_an_item_check_drops_before_an_answer_is_paid_for(tmp_path: Path) -> None:
    small = load_skill(template(tmp_path))
    asked = {"question": "How many?", "evidence": ["Ninety berths are kept."], "answer": "ninety"}
    ask = door({"*/stated_figure": asked, "*/yes_or_no": {**asked, "answer": "yes"}})
    made = await instruct(material(), small, ask)
    assert all(isinstance(lost, Dropped) for lost in made)
    assert {lost.step for lost in made} == {"instruct"}
    assert all(lost.reason.startswith("evidence_in_material: ") for lost in made)


async def test_a_generator_that_declines_or_misfits_drops_its_kind_alone(tmp_path: Path) -> None:
    small = load_skill(template(tmp_path))
    right = {"question": "How many?", "evidence": ["Seventeen berths are kept free for visiting boats."], "answer": "seventeen"}
    ask = door({"*/stated_figure": right, "*/yes_or_no": {**right, "answer": "perhaps"}})
    made = {(m.kind, type(m).__name__): m for m in await instruct(material(), small, ask)}
    assert set(made) == {("stated_figure", "Instruction"), ("yes_or_no", "Dropped")}
    assert "yes" in made["yes_or_no", "Dropped"].reason


async def test_a_builder_makes_gold_before_the_agent_words_the_request(tmp_path: Path) -> None:
    code = """
        from preceptor.types import Dropped, Gold, Instruction

        def upper(material, kind, seed):
            if not material.text.strip():
                return Dropped(material, "instruct", "no text", kind=kind.name)
            gold = Gold("edit", material.text.upper(), made_by="computed")
            return Instruction(material, kind.name, "Write in capitals.", "edit", gold=gold, made_by="builder")

        BUILDERS = {"count": upper}
    """
    words = {"2_instruct/count.md": "+++\n[reply]\nrequest = { max = 200 }\n+++\n{{ instruction.text }}\n"}
    ask = door({"*/count": {"request": "Everything in capitals, please."}})
    (made,) = await instruct(material(), skill(tmp_path, {"skill.py": code}, words), ask)
    assert isinstance(made, Instruction)
    assert made.text == "Everything in capitals, please."
    assert made.gold == Gold("edit", TEXT.upper(), made_by="computed")
    assert made.made_by == "builder, worded by small/2_instruct/count"
    assert ask.requests[0].messages[-1]["content"].startswith("Write in capitals.")


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────

OPTIONS = [
    {"text": "ten", "role": "too_narrow", "reason": "half"},
    {"text": "seventeen", "role": "credited", "reason": "stated"},
    {"text": "forty", "role": "off", "reason": "not said"},
]
SHAPES: list[tuple[str, dict[str, Any], str, Any]] = [
    ("short", {"answer": "seventeen", "accepts": ["17"]}, "text", "seventeen"),
    ("number", {"answer": 17.0, "unit": "berths", "working": [{"quote": "Seventeen berths", "value": 17}]}, "number", 17.0),
    ("set", {"answers": ["gate", "pier"]}, "set", ["gate", "pier"]),
    ("order", {"items": ["a", "b", "c"]}, "order", ["a", "b", "c"]),
    ("pairs", {"pairs": [{"left": "x", "right": "1"}, {"left": "y", "right": "2"}]}, "pairs", {"x": "1", "y": "2"}),
    ("label", {"labels": ["yes", "no"], "answer": "no"}, "label", "no"),
    ("open", {"points": ["names the gate"]}, "", None),
    ("unanswerable", {"missing": "the year"}, "none", None),
]


def of_shape(shape: str, fields: dict[str, Any], seed: str = "1") -> Instruction:
    return instruction_of(Kind("k", shape=shape), material(), {"question": "What?", **fields}, "agent", seed)


@pytest.mark.parametrize(("shape", "fields", "form", "value"), SHAPES)
def test_each_shape_has_its_form_of_gold(shape: str, fields: dict[str, Any], form: str, value: Any) -> None:
    made = of_shape(shape, fields)
    assert (made.gold.form if made.gold else "", made.gold.value if made.gold else None) == (form, value)
    assert made.answerability == ("unanswerable" if shape == "unanswerable" else "answerable")


def test_other_spellings_evidence_and_working_are_kept_where_checks_look_for_them() -> None:
    text = of_shape("short", {"answer": "seventeen", "accepts": ["17"], "evidence": ["Seventeen berths"]})
    number = of_shape("number", dict(SHAPES[1][1]))
    assert text.gold == Gold("text", "seventeen", ("Seventeen berths",), ("17",))
    assert (number.data["unit"], number.gold and number.gold.evidence) == ("berths", ("Seventeen berths",))
    assert of_shape("open", {"points": ["p"], "plan": "x"}).data == {"points": ["p"], "plan": "x"}


def test_any_shape_may_turn_out_unanswerable() -> None:
    made = of_shape("short", {"answer": "", "answerable": False})
    assert (made.gold, made.answerability) == (Gold("none", None), "unanswerable")


@pytest.mark.parametrize("seed", ["1", "2", "3", "4", "5", "6"])
def test_options_are_shuffled_and_the_key_is_the_letter_of_the_credited_one(seed: str) -> None:
    made = of_shape("multiple_choice", {"options": OPTIONS}, seed)
    assert made.gold is not None
    assert made.options[LETTERS.index(made.gold.value)].text == "seventeen"
    assert made == of_shape("multiple_choice", {"options": OPTIONS}, seed)
    assert f"({made.gold.value}) seventeen" in options_text(made)
    assert not any(word in options_text(made) for word in ("credited", "stated", "too_narrow"))


def test_the_key_falls_on_every_letter() -> None:
    keys = {made.gold.value for n in range(40) if (made := of_shape("multiple_choice", {"options": OPTIONS}, str(n))).gold}
    assert keys == {"A", "B", "C"}


@pytest.mark.parametrize("roles", [["off", "off", "off"], ["credited", "credited", "off"]])
def test_options_without_exactly_one_credited_are_no_item(roles: list[str]) -> None:
    options = [{**o, "role": r} for o, r in zip(OPTIONS, roles, strict=True)]
    with pytest.raises(ReplyError, match="not exactly one option"):
        of_shape("multiple_choice", {"options": options})


@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
def test_items_and_right_columns_are_shown_in_another_order_than_the_right_one(seed: str) -> None:
    order = of_shape("order", {"items": ["first", "second", "third"]}, seed)
    assert order.data["shown"] != order.gold.value  # type: ignore[union-attr]
    assert sorted(order.data["shown"]) == ["first", "second", "third"]
    assert "items" not in order.data
    pairs = of_shape("pairs", {"pairs": [{"left": str(n), "right": f"r{n}"} for n in range(5)]}, seed)
    assert sorted(pairs.data["right"]) == ["r0", "r1", "r2", "r3", "r4"]
    assert pairs.data["right"] != ["r0", "r1", "r2", "r3", "r4"]
    assert "pairs" not in pairs.data


@pytest.mark.parametrize(
    ("shape", "fields", "says"),
    [
        ("pairs", {"pairs": [{"left": "x", "right": "1"}, {"left": "x", "right": "2"}]}, "share their left side"),
        ("label", {"labels": ["yes", "no"], "answer": "perhaps"}, "none of the labels"),
    ],
)
def test_fields_that_contradict_themselves_are_no_item(shape: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ReplyError, match=says):
        of_shape(shape, fields)


async def test_a_document_in_german_is_asked_of_kinds_that_speak_german(tmp_path: Path) -> None:
    small = skill(tmp_path, ROUTES)
    asked = {"question": "Wie viele?", "answer": "siebzehn"}
    made = await instruct(material(language="de"), small, door({"*/count": asked}, document=document(language="de")))
    assert all(isinstance(m, Instruction) for m in made)


# ── what is drawn before anything is written ─────────────────────────────────────────────────────────────────────

VERDICTS = {
    "2_instruct/taxonomy.toml": """
        [[kind]]
        name = "verdict"
        shape = "label"
        checks = ["gold_label"]
    """,
    "2_instruct/count.md": "",
    "2_instruct/verdict.md": """
        +++
        [draws]
        answer = ["supported", "refuted", "neither"]
        [reply]
        labels = { type = "list", min = 3, max = 3 }
        question = { max = 300 }
        +++
        {{ block("material", material.text) }}
        It has to come out as {{ drawn.answer }}.
    """,
}
IN_GERMAN = {"labels": ["belegt", "widerlegt", "offen"], "question": "Was gilt für diese Behauptung?"}


async def test_an_outcome_is_drawn_by_rule_and_is_the_answer_in_the_readers_language(tmp_path: Path) -> None:
    small = skill(tmp_path, VERDICTS)
    found = []
    for number in range(60):
        ask = door({"*/verdict": IN_GERMAN}, seed=str(number))
        (made,) = await instruct(material(language="de"), small, ask)
        assert isinstance(made, Instruction)
        assert made.gold is not None
        told = made.data["drawn"]["answer"]
        assert f"It has to come out as {told}." in prompt_of(ask.requests[0])
        assert made.gold.value == dict(zip(("supported", "refuted", "neither"), IN_GERMAN["labels"], strict=True))[told]
        found.append(told)
    assert all(10 <= found.count(verdict) <= 30 for verdict in ("supported", "refuted", "neither")), found


async def test_labels_that_do_not_pair_with_what_was_drawn_are_no_item(tmp_path: Path) -> None:
    same = {**IN_GERMAN, "labels": ["belegt", "belegt", "offen"]}
    (lost,) = await instruct(material(), skill(tmp_path, VERDICTS), door({"*/verdict": same}))
    assert isinstance(lost, Dropped)
    assert "supported, refuted, neither" in lost.reason


def test_a_kind_is_kept_from_a_plan_that_leaves_it_nothing_to_ask(tmp_path: Path) -> None:
    taxonomy = {"2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nunless = { flaw = ["none"] }\n'}
    small, ask = skill(tmp_path, taxonomy), door()
    assert suiting(material("argument", data={"flaw": "none"}), small, ask) == []
    assert len(suiting(material("argument", data={"flaw": "circle"}), small, ask)) == 1
    assert len(suiting(material("identity"), small, ask)) == 1


VOICES = {
    "4_respond/styles.toml": """
        [[hint]]
        text = "a reader"
        [[hint]]
        text = "a member of the meeting"
        suits = ["meeting"]
        [[hint]]
        text = "a programmer"
        suits = ["identity/code"]
    """
}


@pytest.mark.parametrize(
    ("genre", "form", "voices"),
    [
        ("identity", "prose", {"a reader"}),
        ("meeting", "prose", {"a reader", "a member of the meeting"}),
        ("identity", "code", {"a reader", "a programmer"}),
    ],
)
def test_a_question_is_asked_in_a_voice_that_could_have_the_text_before_it(
    genre: str, form: str, voices: set[str], tmp_path: Path
) -> None:
    small = skill(tmp_path, VOICES)
    made = [slots(small.kinds[0], material(genre, kind=form), small, door(seed=str(n)))["hints"] for n in range(40)]
    assert set(made) == voices


def test_the_voices_of_reading_comprehension_are_many_and_true_of_any_text_or_bound_to_some() -> None:
    hints = load_skill("reading_comprehension").styles["hint"]
    assert len([h for h in hints if not h.get("suits")]) >= 30
    assert len({h["text"] for h in hints}) == len(hints)


LISTENING = """
    +++
    [reply]
    question = { type = "text", max = 200 }
    answer = { type = "text", max = 100 }
    +++
    {{ block("passage", material.text) }}
    {{ kind.name }}.{% if avoid %} Asked already: {{ avoid | join(" / ") }}{% endif %}
"""
FOUR = "".join(f'[[kind]]\nname = "k{n}"\nagent = "count"\n' for n in range(4))


def listening(folder: Path, numbers: str = "") -> Skill:
    text = f'title = "Small"\n[instruct]\npick = 4\n{numbers}'
    return skill(folder, {"2_instruct/count.md": LISTENING, "2_instruct/taxonomy.toml": FOUR, "skill.toml": text})


def by_kind(question: str) -> Any:
    def says(request: Any) -> dict[str, str]:
        name = request.slots["kind"].name
        return {"question": question.format(name), "answer": "seventeen"}

    return says


async def test_each_kind_is_told_what_was_asked_of_the_material_before(tmp_path: Path) -> None:
    ask = door({"*/count": by_kind("What of {} is told?")})
    made = await instruct(material(), listening(tmp_path), ask)
    asked = [thing.text for thing in made if isinstance(thing, Instruction)]
    assert len(asked) == 4
    assert [list(request.slots["avoid"]) for request in ask.requests] == [asked[:n] for n in range(4)]


async def test_where_the_pack_says_so_all_kinds_are_asked_at_once(tmp_path: Path) -> None:
    ask = door({"*/count": by_kind("What of {} is told?")})
    await instruct(material(), listening(tmp_path, "one_by_one = false\n"), ask)
    assert [list(request.slots["avoid"]) for request in ask.requests] == [[]] * 4


async def test_a_question_that_another_kind_has_asked_is_dropped_with_its_reason(tmp_path: Path) -> None:
    made = await instruct(material(), listening(tmp_path), door({"*/count": by_kind("How many berths are there?")}))
    assert [isinstance(thing, Instruction) for thing in made] == [True, False, False, False]
    assert {thing.reason for thing in made if isinstance(thing, Dropped)} == {
        "asks again what is asked of this material: How many berths are there?"
    }
