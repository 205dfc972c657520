"""What the student's tests stand on: documents of our own as tables, rows by code, and a tiny random model with a tokenizer."""

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import Any

from preceptor.draws import digest, draw
from preceptor.skill import Skill, load_skill
from preceptor.student.exam import Exam, composed, examples_by_code
from preceptor.student.rows import Row, held_out, row_of
from preceptor.types import Document

PLACES = ("Marram", "Dunnet", "Holm", "Voe", "Brae", "Tarn", "Force", "Garth", "Wick", "Ness", "Sound", "Firth", "Moss")
COLUMNS = ("lamps", "keepers", "steps", "boats", "gulls")
WHY = "torch and trl are not installed: make test installs them where they are to be had"


def files(count: int = 60) -> dict[str, list[Document]]:
    """Small tables, one a file, with names and figures of their own."""
    made = {}
    for n in range(count):
        names = [f"{a} {b}" for a in draw(PLACES, "first", n, k=5) for b in draw(PLACES, "second", n, a, k=1)]
        columns = draw(COLUMNS, "columns", n, k=2)
        lines = [["light", *columns], ["---"] * 3]
        for place, name in enumerate(names):
            lines.append([name, *(draw(range(3, 97), n, c, place)[0] for c in columns)])  # type: ignore[list-item]
        text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        source = f"lights_{n}.csv"
        made[source] = [Document(digest(text), text, source, (0, len(text)), "table", title=f"lights {n}")]
    return made


@lru_cache(maxsize=1)
def reading() -> Skill:
    return load_skill("reading_comprehension")


KINDS = {"reading_comprehension": ("table_claim", "table_superlative")}


@lru_cache(maxsize=4)
def rows(count: int = 60) -> tuple[Row, ...]:
    """Rows by code from the documents that may be trained on."""
    taught = {name: found for name, found in files(count).items() if not held_out(name)}
    made = asyncio.run(examples_by_code(reading(), taught, "1", exam=False, kinds=KINDS["reading_comprehension"], rounds=2))
    return tuple(row_of(example, "reading_comprehension") for example in made)


@lru_cache(maxsize=4)
def exam(count: int = 60, per_skill: int = 60) -> Exam:
    """Items from the documents that are held out."""
    skills = {"reading_comprehension": reading()}
    return asyncio.run(composed(skills, files(count), rows(count), {}, per_skill, "1", KINDS))


def tiny(folder: Path, texts: list[str], seed: int = 1) -> Path:
    """A random Llama of two layers and a byte-level BPE trained on these texts, as a folder."""
    import pytest

    torch = pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("trl", reason=WHY)
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    fast: Any = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(fast),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=None,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
