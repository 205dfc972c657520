"""Supervised fine-tuning through TRL: loss on what the assistant says alone, rows packed, seeded, and resumable.

rows ─▶ plan.json ─▶ checkpoints (each marked when it is whole) ─▶ model/ ─▶ curves.png, training.json
"""

import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest, shuffled
from preceptor.errors import ChangedRun, UserError
from preceptor.files import whole
from preceptor.student.rows import Row
from preceptor.student.weights import SMALL, Say, folder_of, halved, model_of, needs_trainers, tokenizer_of

TOLD = 20
"""Steps between two lines of progress."""
WHOLE = "whole"
"""Written into a checkpoint after all else: one without it was cut off."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. The defaults are for a model of 135 million parameters and a few hundred rows on two cores."""

    seed: int = 1
    epochs: float = 1.0
    steps: int = 0
    """Optimiser steps; 0: as many as the epochs take."""
    rate: float = 5e-4
    length: int = 512
    """Tokens of a packed sequence; longer rows are left out."""
    batch: int = 1
    """Sequences a step."""
    save_every: int = 40
    """Steps between checkpoints (1.6 GB each for the embedded model; two are kept while it trains, none after)."""
    template: str = ""
    """A chat template in place of the model's; its generation marks say where the loss is."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left behind."""

    folder: Path
    base: str
    rows: int
    too_long: int
    tokens: int
    """All tokens of the rows trained on, in one epoch."""
    learnt: int
    """Those among them that carry loss."""
    steps: int
    losses: tuple[float, ...]
    seconds: float


def train(rows: Sequence[Row], base: str, into: Path, settings: Settings | None = None, say: Say = lambda _: None) -> Trained:
    """A student in `into/model`. The same call goes on where the last one stopped; a finished one is only read.

    Raises ChangedRun where the folder holds a training of other rows, another base or other settings.
    """
    needs_trainers()
    settings = settings or Settings()
    plan = {"base": base, "rows": digest(*(f"{r.id}{r.messages}" for r in rows)), "settings": asdict(settings)}
    done, planned = into / "training.json", into / "plan.json"
    if planned.is_file() and orjson.loads(planned.read_bytes()) != plan:
        before = orjson.loads(planned.read_bytes())
        changed = ", ".join(k for k in plan if plan[k] != before.get(k))
        raise ChangedRun(f"{into} holds another training (changed: {changed}); give another folder, or remove this one")
    if done.is_file():
        return finished(done)
    whole(planned, orjson.dumps(plan))
    return _train(rows, base, into, settings, say)


def finished(file: Path) -> Trained:
    """The training that this file tells of."""
    held = orjson.loads(file.read_bytes())
    return Trained(**{**held, "folder": file.parent, "losses": tuple(held["losses"])})


def _train(rows: Sequence[Row], base: str, into: Path, settings: Settings, say: Say) -> Trained:
    folder = folder_of(base, say)
    tokenizer, model = tokenizer_of(folder), model_of(folder)
    tokenizer.chat_template = settings.template or tokenizer.chat_template
    sized = [(row, tokens_of(row, tokenizer)) for row in rows]
    fitting = [(row, size) for row, size in sized if size[0] <= settings.length]
    if not fitting:
        raise UserError(f"no row fits into {settings.length} tokens; the shortest has {min(s[0] for _, s in sized)}")
    began, last = time.monotonic(), checkpoint(into)
    say(f"{len(fitting)} rows, {sum(s[0] for _, s in fitting)} tokens" + (f"; goes on after {last.name}" if last else ""))
    trainer = trainer_of(model, tokenizer, [row for row, _ in fitting], into, settings, say)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the trainers' own
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses = tuple(round(float(line["loss"]), 5) for line in trainer.state.log_history if "loss" in line)
    half = into / "model.half"
    shutil.rmtree(half, ignore_errors=True)
    trainer.model.save_pretrained(half)
    tokenizer.save_pretrained(half)
    shutil.rmtree(into / "model", ignore_errors=True)
    half.rename(into / "model")
    made = Trained(
        into,
        base,
        len(fitting),
        len(sized) - len(fitting),
        sum(s[0] for _, s in fitting),
        sum(s[1] for _, s in fitting),
        trainer.state.global_step,
        losses,
        round(time.monotonic() - began, 1),
    )
    draw_curves(losses, into / "curves.png")
    whole(into / "training.json", orjson.dumps({**asdict(made), "folder": str(into)}, option=orjson.OPT_INDENT_2))
    for old in into.glob("checkpoint-*"):
        shutil.rmtree(old)
    return made


def tokens_of(row: Row, tokenizer: Any) -> tuple[int, int]:
    """Tokens of the row, and those that carry loss."""
    made = tokenizer.apply_chat_template(
        [dict(m) for m in row.messages], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    return len(made["input_ids"]), sum(made["assistant_masks"])


def trainer_of(
    model: Any, tokenizer: Any, rows: Sequence[Row], into: Path, settings: Settings, say: Say = lambda _: None
) -> Any:
    """TRL's trainer over the rows, in an order drawn by the seed."""
    import datasets
    import torch
    import trl
    from transformers import PrinterCallback, TrainerCallback

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in (logs or {}) and state.global_step % TOLD == 0:
                say(f"step {state.global_step} of {state.max_steps}: loss {float(logs['loss']):.3f}")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (into / f"checkpoint-{state.global_step}" / WHOLE).touch()

    datasets.disable_progress_bars()
    large = model.num_parameters() > SMALL
    order = shuffled(list(rows), settings.seed, "rows") if len(set(r.id for r in rows)) == len(rows) else list(rows)
    data = datasets.Dataset.from_list([{"messages": [dict(m) for m in row.messages]} for row in order])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on names that TRL itself is about to change
        config = trl.SFTConfig(
            output_dir=str(into),
            num_train_epochs=settings.epochs,
            max_steps=settings.steps or -1,
            learning_rate=settings.rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            weight_decay=0.0,
            per_device_train_batch_size=settings.batch,
            max_length=settings.length,
            packing=True,
            assistant_only_loss=True,
            seed=settings.seed,
            data_seed=settings.seed,
            save_strategy="steps",
            save_steps=settings.save_every,
            save_total_limit=2,
            logging_steps=1,
            use_cpu=not torch.cuda.is_available(),
            bf16=bool(large and halved()),  # the weights stay single; products are taken in bfloat16
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            report_to="none",
            disable_tqdm=True,
        )
        trainer = trl.SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer, callbacks=[Marks()])
    trainer.remove_callback(PrinterCallback)
    return trainer


def checkpoint(into: Path) -> Path | None:
    """The latest checkpoint that is whole; one that was cut off is removed."""
    found = sorted(into.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    for half in [p for p in found if not (p / WHOLE).is_file()]:
        shutil.rmtree(half)
    whole = [p for p in found if p.is_dir()]
    return whole[-1] if whole else None


def draw_curves(losses: Sequence[float], file: Path, width: int = 720, height: int = 320) -> None:
    """Loss over steps as a picture; needs nothing but the standard library."""
    from preceptor.student.picture import Picture

    picture = Picture(width, height)
    picture.axes(len(losses), max(losses, default=1.0))
    picture.line(losses, (180, 180, 190))
    picture.line(smoothed(losses), (20, 90, 160))
    picture.write(file)


def smoothed(values: Sequence[float], share: float = 0.15) -> list[float]:
    """Each value drawn towards those before it."""
    made: list[float] = []
    for value in values:
        made.append(value if not made else made[-1] + share * (value - made[-1]))
    return made
