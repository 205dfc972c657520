"""Every deciding check is tried with good rows and with rows that one change has broken."""

import pytest

from preceptor.testing.gates import Table, gates

DRAWN = {
    "reading_comprehension": ("literal", "numerical", "matching", "sequencing", "multi_span", "insufficiency", "must_be_true",
                              "main_conclusion_quoted", "claim_verification", "table_superlative"),
    "text_modification": ("case", "keyword_replace", "redact", "style_markup", "obfuscate", "grammar_repair", "reorder",
                          "vocabulary_limits", "acrostic", "person_change", "split_sentences", "two_edits"),
    "tool_use": ("one_api_missing_parameter",),
}
"""Kinds that between them have nearly every deciding check; `make gates` and the soak tests take all."""


def missed(table: Table) -> list[str]:
    short = [g for g in table.gates if not g.holds]
    lines = [f"{g.kind} {g.check}: good {g.passed}/{g.good}, broken {g.caught}/{g.broken} {g.told[:2]}" for g in short]
    return lines + [f"{kind}: {why}" for kind, why in table.unreached.items()]


@pytest.mark.parametrize("skill", DRAWN)
def test_good_rows_pass_and_broken_ones_are_caught_by_the_check_named_beforehand(skill: str) -> None:
    assert missed(gates((skill,), DRAWN[skill], want=5)) == []


@pytest.mark.soak
@pytest.mark.parametrize("skill", DRAWN)
def test_all_gates_of_all_real_kinds_hold(skill: str) -> None:
    assert missed(gates((skill,))) == []
