"""Training resumed is the same training; loss stands on the assistant's tokens; packed rows are apart; greedy is greedy."""

from pathlib import Path

import orjson
import pytest

from preceptor.errors import ChangedRun, UserError
from preceptor.student.answer import Asked, replies_of
from preceptor.student.train import Settings, tokens_of, train, trainer_of
from preceptor.student.weights import folder_of, model_of, tokenizer_of
from student.makings import exam, rows, tiny

pytestmark = [pytest.mark.student, pytest.mark.filterwarnings("ignore")]
SHORT = Settings(steps=24, rate=2e-3, length=400, save_every=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("base"), [str(m["content"]) for row in rows() for m in row.messages])


class Killed(Exception):
    """The process ends here."""


def test_a_training_that_was_killed_goes_on_to_the_same_end(base: Path, tmp_path: Path) -> None:
    def kill(said: str) -> None:
        if said.startswith("step 20"):
            raise Killed

    whole = train(rows(), str(base), tmp_path / "whole", SHORT)
    with pytest.raises(Killed):
        train(rows(), str(base), tmp_path / "cut", SHORT, kill)
    cut = sorted((tmp_path / "cut").glob("checkpoint-*/whole"))
    assert cut
    (tmp_path / "cut" / "checkpoint-99").mkdir()  # one that was cut off while it was written
    again = train(rows(), str(base), tmp_path / "cut", SHORT)
    assert (again.losses, again.steps) == (whole.losses, whole.steps) == (whole.losses, 24)
    same = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert same[0] == same[1]
    assert not list((tmp_path / "cut").glob("checkpoint-*"))
    began = (tmp_path / "cut" / "training.json").stat().st_mtime_ns
    assert train(rows(), str(base), tmp_path / "cut", SHORT).losses == whole.losses
    assert (tmp_path / "cut" / "training.json").stat().st_mtime_ns == began
    with pytest.raises(ChangedRun, match="rows"):
        train(rows()[:20], str(base), tmp_path / "cut", SHORT)
    told = orjson.loads((tmp_path / "cut" / "training.json").read_bytes())
    assert len(told["losses"]) == 24
    assert (tmp_path / "cut" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_loss_stands_on_the_assistants_tokens_and_on_no_other(base: Path, tmp_path: Path) -> None:
    tokenizer, model = tokenizer_of(base), model_of(base)
    trainer = trainer_of(model, tokenizer, rows()[:12], tmp_path, SHORT)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    learnt = [i for i, label in zip(batch["input_ids"][0], batch["labels"][0], strict=True) if label != -100]
    said = tokenizer.decode(learnt)
    answers = {str(row.messages[-1]["content"]) for row in rows()[:12]}
    assert set(said.split("<|im_end|>")) - {""} <= answers
    assert sum(tokens_of(row, tokenizer)[1] for row in rows()[:12]) == sum(
        int((trainer.data_collator([one])["labels"] != -100).sum()) for one in trainer.train_dataset
    )


def test_rows_that_are_packed_together_do_not_see_each_other(base: Path, tmp_path: Path) -> None:
    import torch

    tokenizer, model = tokenizer_of(base), model_of(base)
    trainer = trainer_of(model, tokenizer, rows()[:12], tmp_path, Settings(steps=1, length=700))
    batch = trainer.data_collator([trainer.train_dataset[0]])
    starts = [n for n, place in enumerate(batch["position_ids"][0].tolist()) if place == 0]
    assert len(starts) > 1
    model.eval()
    with torch.inference_mode():
        packed = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits[0]
        for start, end in zip(starts, [*starts[1:], len(packed)], strict=True):
            alone = model(input_ids=batch["input_ids"][:, start:end]).logits[0]
            assert torch.allclose(packed[start:end], alone, atol=1e-4)


def test_batched_greedy_replies_are_those_that_the_model_gives_one_by_one(base: Path) -> None:
    import torch

    tokenizer, model = tokenizer_of(base), model_of(base)
    torch.manual_seed(3)
    for weight in model.parameters():  # far from uniform, so that replies differ and some end
        weight.data += 0.1 * torch.randn_like(weight)
    asked = [Asked(item.messages, 5 + n % 9) for n, item in enumerate(exam().items[:40])]
    together = replies_of(model, tokenizer, asked)
    for one, said in zip(asked, together, strict=True):
        how = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
        ids = tokenizer.apply_chat_template(list(one.messages), **how)
        made = model.generate(ids["input_ids"], max_new_tokens=one.most, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        assert said == tokenizer.decode(made[0][ids["input_ids"].shape[1] :], skip_special_tokens=True)


def test_what_is_no_model_is_said_with_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give `local`, a .gguf file, or a folder".replace(".", r"\.")):
        folder_of(str(tmp_path))
