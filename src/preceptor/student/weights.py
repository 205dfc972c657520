"""A model as a folder of safetensors: a GGUF file is converted once and kept; a folder is taken as it is.

The converted folder carries our own ChatML template, which marks what the assistant says (the loss stands on
those marks), and a pad token that is not the end of a turn.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preceptor.draws import digest
from preceptor.errors import MissingExtra, UserError

TEMPLATE = Path(__file__).with_name("chat.jinja")
GET_STUDENT = "torch, transformers and trl are not installed; type: pip install 'preceptor[student]'"
Say = Callable[[str], None]
SMALL = 10_000_000
"""Parameters below which a second thread costs more than it does."""


def needs_trainers() -> None:
    """Raises MissingExtra where the extra `student` is not installed; keeps the libraries off the network."""
    from importlib.util import find_spec

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Read when torch is loaded: with busy waiting, one other busy process cuts the speed to a fifth.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if any(find_spec(name) is None for name in ("torch", "transformers", "trl", "datasets")):
        raise MissingExtra(GET_STUDENT)
    from transformers.utils import logging

    logging.disable_progress_bar()


def folder_of(model: str, say: Say = lambda _: None) -> Path:
    """The folder of `local`, of a GGUF file, or the folder that was named. Raises UserError for anything else."""
    if model == "local":
        from preceptor.models.local import default_gguf

        return converted(default_gguf(), say)
    path = Path(model).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return converted(path, say)
    if (path / "model" / "config.json").is_file():  # what `preceptor train` wrote
        return path / "model"
    if (path / "config.json").is_file():
        return path
    raise UserError(f"no model at {model}; give `local`, a .gguf file, or a folder with config.json and safetensors")


def cache() -> Path:
    """Where converted models are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preceptor" / "students"


def converted(gguf: Path, say: Say = lambda _: None) -> Path:
    """The folder that this GGUF file was converted to, converted now if it has not been; never half of one."""
    stat = gguf.stat()
    folder = cache() / f"{gguf.stem}-{digest(gguf.name, stat.st_size, TEMPLATE.read_text())}"
    if (folder / "config.json").is_file():
        return folder
    needs_trainers()
    say(f"converting {gguf.name} to {folder} (once; a minute or more)")
    half = folder.with_name(f"{folder.name}.{os.getpid()}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        _convert(gguf, half)
        if not folder.exists():
            half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def _convert(gguf: Path, into: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # Loaded from GGUF it counts as quantized, and save_pretrained refuses; the weights in memory are plain floats.
    for name in ("hf_quantizer", "quantization_method"):
        if hasattr(model, name):
            setattr(model, name, None)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model.save_pretrained(into, safe_serialization=True)
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    tokenizer.save_pretrained(into)


def tokenizer_of(folder: Path) -> Any:
    """The folder's tokenizer, with a pad token apart from the end of a turn and a template that marks the assistant's words."""
    needs_trainers()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    vocabulary = tokenizer.get_vocab()
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        spare = next((t for t in ("<|endoftext|>", "<|pad|>", "<unk>") if t in vocabulary and t != tokenizer.eos_token), None)
        tokenizer.pad_token = spare or tokenizer.eos_token
    if "generation" not in (tokenizer.chat_template or ""):
        if "<|im_start|>" not in vocabulary:
            raise UserError(
                f"the chat template of {folder} does not mark what the assistant says, and its vocabulary is not ChatML's; "
                "put {% generation %} … {% endgeneration %} around the assistant's words in chat_template.jinja"
            )
        tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def halved() -> bool:
    """Whether this processor multiplies in bfloat16 by itself: two to three times as fast then, and very slow elsewhere."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def model_of(folder: Path, *, to_learn: bool = True) -> Any:
    """The folder's weights, ready to learn (single precision), or only to answer (bfloat16 where the processor has it)."""
    needs_trainers()
    import torch
    from transformers import AutoModelForCausalLM

    from preceptor.models.local import cores

    dtype = torch.float32 if to_learn or not halved() else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, attn_implementation="sdpa")
    torch.set_num_threads(cores() if model.num_parameters() > SMALL else 1)
    return model
