"""The whole way on a tiny random model: rows, training, exam, evaluation. What it learns is the form of an answer, no more."""

from pathlib import Path

import pytest

from preceptor.student.evaluate import evaluate, table
from preceptor.student.rows import texts
from preceptor.student.train import Settings, train
from preceptor.student.weights import TEMPLATE
from student.makings import exam, rows, tiny

pytestmark = [pytest.mark.student, pytest.mark.filterwarnings("ignore")]
TAUGHT = Settings(steps=70, rate=4e-3, save_every=1000)
INVERTED = (
    TEMPLATE.read_text()
    .replace("{%- generation -%}", "")
    .replace("{%- endgeneration -%}", "")
    .replace(
        "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}",
        "{%- generation -%}{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
        "{%- endgeneration -%}",
    )
)


def base(folder: Path) -> Path:
    said = [str(m["content"]) for row in rows() for m in row.messages]
    return tiny(folder / "base", [*said, *map(str, texts()["wording"].values())])


def gain(folder: Path, settings: Settings) -> float:
    """How much more the taught student has right than its base, on tables that neither saw."""
    before = evaluate(str(base(folder)), exam())
    train(rows(), str(folder / "base"), folder / "student", settings)
    after = evaluate(str(folder / "student"), exam())
    line = next(line for line in table(after, before) if not line["kind"])
    return float(line["against_interval"][0])


def test_a_taught_student_does_better_than_its_base_on_documents_that_neither_saw(tmp_path: Path) -> None:
    assert len(exam().items) >= 40
    assert gain(tmp_path, TAUGHT) > 0.1


def test_with_the_loss_mask_inverted_the_same_loop_teaches_nothing(tmp_path: Path) -> None:
    assert "generation" not in INVERTED.split("else")[0]
    assert "{%- generation -%}" in INVERTED.split("else")[1]
    inverted = Settings(**{**{f: getattr(TAUGHT, f) for f in TAUGHT.__slots__}, "template": INVERTED})
    assert gain(tmp_path, inverted) <= 0.0
