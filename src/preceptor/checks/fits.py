"""Which deciding checks can say anything of which shape of task: what `check` holds a kind against, and docs list."""

from collections.abc import Collection, Iterable, Mapping

GOLD_OF: Mapping[str, str] = {
    "short": "text",
    "number": "number",
    "set": "set",
    "order": "order",
    "pairs": "pairs",
    "multiple_choice": "option",
    "label": "label",
}
"""The form of gold that the flow makes of a generator's fields; all other shapes have gold only from code."""

OF_GOLD: Mapping[str, str] = {
    "gold_text": "text",
    "sentence_copied": "text",
    "gold_number": "number",
    "gold_set": "set",
    "gold_order": "order",
    "gold_pairs": "pairs",
    "option_key": "option",
    "gold_label": "label",
}
"""Checks that compare with a gold of one form, and are not applicable to any other."""

OF_FIELD: Mapping[str, str] = {
    "only_named_changed": "changes",
    "pseudonyms_consistent": "changes",
    "masked": "private",
    "marks_right": "mark_rules",
    "faults_repaired": "faults",
    "order_right": "order",
    "inserted_once": "insert",
    "one_value_changed": "claim",
    "changes_applied": "steps",
    "comments_resolved": "notes",
    "citations_numbered": "list_heading",
    "parts_hold": "parts",
    "session_constraints_hold": "session",
    "values_normalised": "normal",
    "units_converted": "convert",
    "case_rule": "case",
    "vocabulary_rule": "vocabulary",
    "acrostic_spells": "acrostic",
    "person_changed": "person",
    "layout_rule": "layout",
    "subtitles_fit": "subtitles",
    "contents_right": "contents",
    "content_equal": "form",
    "gold_insufficient": "answerable",
}
"""Checks of a whole text that stand on one field of the instruction's data, and are not applicable without it."""

OF_CODE = frozenset(
    (
        "gold_edit",
        "gold_premise",
        "results_true",
        "end_state",
        "gold_calls",
        "no_call",
        "no_obedience",
        "asked_first",
        "arguments_given",
        "outcome_right",
        "answer_reports",
        "policy_held",
        "budget_held",
    )
)
"""Checks of what only code makes or refinement brings: a computed text, a simulated service, a false premise."""


def fitting(shape: str) -> list[str]:
    """The deciding checks of the box that fit every task of this shape, as the flow makes it."""
    return [name for name, form in OF_GOLD.items() if form == GOLD_OF.get(shape)]


def cannot(name: str, shape: str, fields: Collection[str]) -> str:
    """Why this check can never apply to a task of this shape with these fields; empty where it may, or is not known.

    `fields` are those that the kind's `data` and its generator's reply have. Holds for tasks that the flow makes of
    them; what a builder or a pack's own step makes is not judged here.
    """
    if name in OF_GOLD and OF_GOLD[name] != GOLD_OF.get(shape):
        has = f"gold of the form {GOLD_OF[shape]}" if shape in GOLD_OF else "no gold"
        return f"{name} compares with gold of the form {OF_GOLD[name]}; this shape has {has}"
    if name in OF_FIELD and OF_FIELD[name] not in fields:
        return f"{name} stands on a field {OF_FIELD[name]!r}, which neither the kind's data nor its agent has"
    if name in OF_CODE:
        return f"{name} needs what only code makes, such as a builder in skill.py"
    return ""


def advised(shape: str, own: Iterable[str]) -> str:
    """What to take instead: the box's checks for the shape, the pack's own, or how to come by one."""
    there = [*fitting(shape), *own]
    return f"for the shape {shape!r} there are: {', '.join(there)}" if there else f"none in the box fits the shape {shape!r}"
