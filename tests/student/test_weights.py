"""The embedded model's file, turned into safetensors, says what llama.cpp makes of it."""

import pytest

from preceptor.errors import MissingExtra
from preceptor.models.local import _Server, cores, default_gguf
from preceptor.student.answer import Asked, by_weights
from preceptor.student.weights import folder_of, model_of, tokenizer_of
from student.makings import WHY

pytestmark = [pytest.mark.student, pytest.mark.filterwarnings("ignore")]
QUESTIONS = [
    "What is the capital of France? Answer in one sentence.",
    "Name three colours of the rainbow, separated by commas.",
    "Write the word harbour in capital letters.",
    "What is the opposite of cold?",
]


@pytest.mark.soak
def test_the_converted_model_says_what_llama_cpp_says() -> None:
    pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("gguf", reason=WHY)
    pytest.importorskip("xllamacpp")
    try:
        file = default_gguf()
    except MissingExtra as why:
        pytest.skip(str(why))
    asked = [({"role": "system", "content": "You are terse."}, {"role": "user", "content": text}) for text in QUESTIONS]
    ours = by_weights(folder_of("local"), [Asked(messages, 24) for messages in asked])
    server = _Server.of(file, 2048, cores())
    try:
        plain = {"temperature": 0.0, "max_tokens": 24, "repeat_penalty": 1.0}
        theirs = [server.chat({"messages": list(m), **plain}, ()) for m in asked]
    finally:
        server.release()
    said = [reply["choices"][0]["message"]["content"] for reply in theirs]
    assert sum(a.strip() == b.strip() for a, b in zip(ours, said, strict=True)) >= 2
    # Four-bit arithmetic rounds otherwise than single precision, so that replies part where two words are nearly as likely.
    agreed = [share_agreed(messages, text) for messages, text in zip(asked, said, strict=True)]
    assert sum(agreed) / len(agreed) > 0.85


def share_agreed(messages: tuple[dict[str, str], ...], said: str) -> float:
    """The share of a reply's tokens that are the converted model's first choice too, given those before."""
    import torch

    folder = folder_of("local")
    tokenizer, model = tokenizer_of(folder), model_of(folder)
    prompt = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=True)["input_ids"]
    ids = tokenizer(said, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        chosen = model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].argmax(-1).tolist()
    return sum(a == b for a, b in zip(chosen, ids, strict=True)) / len(ids)
