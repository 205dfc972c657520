"""Greedy replies to an exam: from weights in this process, batched, or from an endpoint. The same text goes to both."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import PreceptorError, UserError
from preceptor.types import Message, Request

Tell = Callable[[int, int], None]
BATCH, SHARED, CAP = 64, 40, 700
"""Prompts at once; tokens of a common beginning that are worth reading once; most tokens of a reply."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation to be answered, and the most tokens of the reply."""

    messages: tuple[Message, ...]
    most: int


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Prompt:
    place: int
    ids: tuple[int, ...]
    most: int


def by_weights(folder: Path, asked: Sequence[Asked], tell: Tell = lambda done, of: None) -> list[str]:
    """The most likely reply to each, token by token, on the processor."""
    from preceptor.student.weights import model_of, tokenizer_of

    tokenizer, model = tokenizer_of(folder), model_of(folder, to_learn=False)
    return replies_of(model, tokenizer, asked, tell)


def replies_of(model: Any, tokenizer: Any, asked: Sequence[Asked], tell: Tell = lambda done, of: None) -> list[str]:
    """As `by_weights`, of a model that is loaded."""
    import torch

    prompts = []
    for place, one in enumerate(asked):
        ids = tokenizer.apply_chat_template(
            [dict(m) for m in one.messages], add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
        prompts.append(Prompt(place, tuple(ids), min(one.most, CAP)))
    ends = {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(["<|im_end|>"])} - {None}
    said: dict[int, str] = {}
    model.eval()
    with torch.inference_mode():
        for shared, group in grouped(prompts):
            for prompt, ids in zip(group, greedy(model, shared, group, ends, tokenizer.pad_token_id), strict=True):
                said[prompt.place] = tokenizer.decode(ids, skip_special_tokens=True)
            tell(len(said), len(prompts))
    return [said[place] for place in range(len(prompts))]


def grouped(prompts: Sequence[Prompt]) -> list[tuple[int, list[Prompt]]]:
    """The prompts in batches, each with how many tokens of its beginning all of them share.

    What shares a passage lies side by side once sorted; the rest is put together by length, so that little is padded.
    """
    ordered = sorted(prompts, key=lambda p: p.ids)
    batches: list[tuple[int, list[Prompt]]] = []
    loose: list[Prompt] = []
    at = 0
    while at < len(ordered):
        group, shared = [ordered[at]], len(ordered[at].ids) - 1
        while at + len(group) < len(ordered) and len(group) < BATCH:
            new = common(ordered[at].ids, ordered[at + len(group)].ids, shared)
            if new < SHARED or new * 2 < len(ordered[at].ids):
                break
            shared = new
            group.append(ordered[at + len(group)])
        at += len(group)
        if len(group) >= 4:
            batches.append((shared, group))
        else:
            loose += group
    loose.sort(key=lambda p: (p.most, len(p.ids)))
    return batches + [(0, loose[i : i + BATCH]) for i in range(0, len(loose), BATCH)]


def common(first: Sequence[int], other: Sequence[int], most: int) -> int:
    """Tokens that both begin with, fewer than either has."""
    end = min(len(first) - 1, len(other) - 1, most)
    return next((n for n in range(end) if first[n] != other[n]), end)


def greedy(model: Any, shared: int, group: Sequence[Prompt], ends: set[int], pad: int) -> list[list[int]]:
    """The replies' tokens. The shared beginning is read once; a reply that has ended leaves the batch."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    if shared:
        model(input_ids=torch.tensor([group[0].ids[:shared]]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(group))
    tails = [prompt.ids[shared:] for prompt in group]
    width = max(map(len, tails))
    ids = torch.tensor([[pad] * (width - len(t)) + list(t) for t in tails])
    mask = torch.tensor([[1] * shared + [0] * (width - len(t)) + [1] * len(t) for t in tails])
    made: list[list[int]] = [[] for _ in group]
    live = list(range(len(group)))
    places = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
    for _ in range(max(prompt.most for prompt in group)):
        out = model(
            input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        chosen = out.logits[:, -1].argmax(-1).tolist()
        stay = []
        for row, (which, token) in enumerate(zip(live, chosen, strict=True)):
            if token not in ends:
                made[which].append(token)
                if len(made[which]) < group[which].most:
                    stay.append(row)
        if not stay:
            break
        kept = torch.tensor(stay)
        if len(stay) < len(live):
            cache.batch_select_indices(kept)
        live = [live[row] for row in stay]
        ids = torch.tensor([[chosen[row]] for row in stay])
        mask = torch.cat([mask[kept], torch.ones((len(stay), 1), dtype=mask.dtype)], dim=1)
        places = places[kept][:, -1:] + 1
    return made


# ── an endpoint ──────────────────────────────────────────────────────────────────────────────────────────────────


def by_endpoint(spec: Mapping[str, Any], asked: Sequence[Asked], tell: Tell = lambda done, of: None) -> list[str]:
    """The endpoint's replies at temperature 0; a reply that it refuses to give is empty, and wrong."""
    return asyncio.run(_by_endpoint(spec, asked, tell))


async def _by_endpoint(spec: Mapping[str, Any], asked: Sequence[Asked], tell: Tell) -> list[str]:
    from preceptor.errors import StepError
    from preceptor.models import open_model

    model = open_model(dict(spec))
    done = 0

    async def one(ask: Asked) -> str:
        nonlocal done
        try:
            said = (await model.complete(Request("exam", ask.messages, temperature=0.0, max_tokens=max(ask.most, 64)))).content
        except StepError:
            said = ""
        done += 1
        tell(done, len(asked))
        return said

    try:
        return list(await asyncio.gather(*map(one, asked)))
    finally:
        await model.close()


def replies(
    model: str, asked: Sequence[Asked], *, name: str = "", key_env: str = "", tell: Tell = lambda done, of: None
) -> list[str]:
    """The replies of a model: `local`, a GGUF file, a folder, or the address of an endpoint with the model's name there."""
    if model.startswith(("http://", "https://")):
        if not name:
            raise UserError(f"which model at {model}? Add: --model NAME")
        return by_endpoint({"url": model, "model": name, **({"key_env": key_env} if key_env else {})}, asked, tell)
    from preceptor.student.weights import folder_of

    try:
        return by_weights(folder_of(model), asked, tell)
    except PreceptorError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{model} cannot be loaded: {error}") from None
