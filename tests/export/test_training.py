"""The export goes into a trainer as it is: two chat templates render it whole, and two steps of SFT and DPO are made of it.

All of it runs in this one process, because the libraries take long to import; a tiny random Llama and a tokenizer that is
trained here stand for a student, so nothing is downloaded.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from export.makings import own_rows, simulated, stored
from preceptor.export import export

pytestmark = [
    pytest.mark.student,
    pytest.mark.filterwarnings("ignore"),  # the trainers' own, which are not ours to mend
]
WHY = "torch and trl are not installed: make test installs them where they are to be had"
HERE = Path(__file__).parent
SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|pad|>",
]
TURNS = {
    "chatml": (re.compile(r"(?<=<\|im_start\|>assistant\n).*?<\|im_end\|>", re.S), "<|im_end|>"),
    "headers": (re.compile(r"(?<=assistant<\|end_header_id\|>\n\n).*?<\|eot_id\|>", re.S), "<|eot_id|>"),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    return export(simulated(folder), folder / "dataset").folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    return export(stored(folder / "own", own_rows()), folder / "dataset").folder


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def tokenizer(template: str, rows: Path) -> Any:
    """A byte-level BPE trained on the rows, with the chat template of that name."""
    pytest.importorskip("transformers", reason=WHY)
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator((line for line in (rows / "rows.jsonl").read_text().splitlines()), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=TURNS[template][1], pad_token="<|pad|>")
    fast.chat_template = (HERE / f"{template}.jinja").read_text(encoding="utf-8")
    return fast


def student(vocabulary: int) -> Any:
    pytest.importorskip("torch", reason=WHY)
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
        )
    )


def loaded(file: Path, cache: Path) -> Any:
    datasets = pytest.importorskip("datasets", reason=WHY)
    return datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(cache))


def leaves(value: Any) -> Iterator[Any]:
    """Every word, number and truth value inside."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@pytest.mark.parametrize("template", ["chatml", "headers"])
def test_two_chat_templates_with_tools_render_every_row_whole(template: str, rows: Path, tmp_path: Path) -> None:
    fast = tokenizer(template, rows)
    seen = 0
    for row in loaded(rows / "rows.parquet", tmp_path):
        text = fast.apply_chat_template(row["messages"], tools=row["tools"] or None, tokenize=False)
        said = re.findall(TURNS[template][0], text)
        assert len(said) == sum(m["role"] == "assistant" for m in row["messages"])
        for message in row["messages"]:
            shown = json.dumps(message["content"], ensure_ascii=False)[1:-1] if template == "headers" else message["content"]
            assert (shown if message["role"] == "tool" else message["content"]) in text
            for call in message.get("tool_calls", ()):
                arguments = call["function"]["arguments"]
                assert None not in list(leaves(arguments))
                assert json.dumps(arguments, ensure_ascii=False) in text
                assert f'"name": "{call["function"]["name"]}"' in text
                assert call["id"] in text
                seen += 1
        for tool in row["tools"]:
            for leaf in leaves(tool):
                assert (json.dumps(leaf, ensure_ascii=False)) in text
    assert seen > 5


@pytest.mark.parametrize("template", ["chatml", "headers"])
def test_two_steps_of_sft_learn_from_the_assistants_tokens_alone(template: str, rows: Path, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason=WHY)
    fast, data = tokenizer(template, rows), loaded(rows / "rows.parquet", tmp_path)
    settings = trl.SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        assistant_only_loss=True,
        max_length=None,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=1,
    )
    trainer = trl.SFTTrainer(model=student(len(fast)), args=settings, train_dataset=data, processing_class=fast)
    learnt = expected = 0
    for row, made in zip(data, trainer.train_dataset, strict=True):
        labels = trainer.data_collator([made])["labels"]
        count = int((labels != -100).sum())
        assert count == assistant_tokens(fast, template, row)
        learnt, expected = learnt + count, expected + len(made["input_ids"])
    print(f"\n{template}: loss on {learnt} tokens of {expected}")
    assert 0 < learnt < expected
    result = trainer.train()
    assert result.global_step == 2
    assert 0 < result.training_loss < 20


def assistant_tokens(fast: Any, template: str, row: Any) -> int:
    """Tokens of the rendered text that the assistant wrote, counted by where they stand in it."""
    text = fast.apply_chat_template(row["messages"], tools=row["tools"] or None, tokenize=False)
    spans = [m.span() for m in TURNS[template][0].finditer(text)]
    places = fast(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    return sum(any(a <= start and end <= b for a, b in spans) for start, end in places)


def test_two_steps_of_dpo_are_made_of_the_preference_pairs(pairs: Path, rows: Path, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason=WHY)
    fast, data = tokenizer("chatml", rows), loaded(pairs / "preference.parquet", tmp_path)
    assert len(data) == 4
    settings = trl.DPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    both = {"model": student(len(fast)), "ref_model": student(len(fast))}
    trainer = trl.DPOTrainer(**both, args=settings, train_dataset=data, processing_class=fast)
    result = trainer.train()
    assert result.global_step == 2
    assert 0 < result.training_loss < 5
