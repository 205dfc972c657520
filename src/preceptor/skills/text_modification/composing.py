"""Two or three edits asked at once, and edits over several turns: built part by part, so that each part can be checked.

The second edit is built on the first one's right text, the third on the second's. What of an earlier part must still
be true at the end is named in the taxonomy (`survives`); the last part is checked in full.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from preceptor.checks.text import occurrences, sentences, settled, stands_alone
from preceptor.draws import draw, one
from preceptor.skills.text_modification.building import (
    KindLike,
    Unfit,
    clean_names,
    language_of,
    passage,
    replaced,
    request_for,
    task,
)
from preceptor.types import Instruction, Material, Message

Builder = Callable[[Material, KindLike, str], Instruction]


def checked_part(made: Instruction, given: str, checks: Sequence[str]) -> dict[str, Any]:
    """One part as `parts_hold` reads it: its own parameters, the text it was given, and the checks to run."""
    held = [c for c in checks if c not in ("gold_edit", "request_says", "parts_hold")]
    return {"kind": made.kind, "checks": held, "data": {**made.data, "source": given}}


def built_on(made: Instruction, builder: Builder, kind: KindLike, seed: str) -> Instruction:
    """The next edit, built on the right result of `made`. Raises Unfit where the result does not suit it."""
    assert made.gold is not None
    before = made.material
    text = settled(str(made.gold.value))
    after = replace(before, text=text, parent=before, change={"before": before.text, "after": text, "why": "the edit before"})
    nxt = builder(after, kind, seed)
    if nxt.gold is None or settled(nxt.material.text) != text:
        raise Unfit(f"{kind.name} does not take the result of {made.kind} whole")
    return nxt


def composed(
    first: Instruction, others: Sequence[tuple[KindLike, Builder]], kind: KindLike, seed: str,
    checks: Mapping[str, Sequence[str]],
) -> Instruction:
    """`first` and the others as one instruction with numbered parts. `kind` is the kind that composes."""
    parts, made, requests = [], first, [first.text]
    for other, builder in others:
        parts.append(checked_part(made, settled(made.material.text), kind.data["survives"].get(made.kind, ())))
        made = built_on(made, builder, other, seed)
        requests.append(made.text)
    parts.append(checked_part(made, settled(made.material.text), checks[made.kind]))
    listed = "\n".join(f"{i}. {request}" for i, request in enumerate(requests, 1))
    request = request_for(kind, first.material, seed, parts=listed, count=len(requests))
    says = [s for part in parts for s in part["data"]["says"]]
    data = {"parts": parts, "says": says, "canonical": request, "requests": requests, "kinds": [p["kind"] for p in parts]}
    return replace(first, kind=kind.name, text=request, data=data, gold=made.gold, made_by="builder", shape=kind.shape)


def in_turns(whole: Instruction, closing: str) -> Instruction:
    """A composed instruction as a conversation: earlier parts asked and done in earlier turns, the last one asked now."""
    requests, parts = whole.data["requests"], whole.data["parts"]
    turns: list[Message] = []
    for i, request in enumerate(requests[:-1]):
        asked = f"{request}\n\n{parts[0]['data']['source']}" if i == 0 else request
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": parts[i + 1]["data"]["source"]}]
    text = f"{requests[-1]} {closing}".strip()
    says = list(parts[-1]["data"]["says"])
    return replace(whole, text=text, history=tuple(turns),
                   data={**whole.data, "says": says, "canonical": text, "text_in_history": True})


def edit_session(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Three turns that set standing wishes (a name's wording, a mark, paragraph numbers), then a sentence to add.

    The sentence was taken from the text and holds the name and the term that the earlier wishes bind.
    """
    text = passage(material, kind, seed, without=r"[*_`]|==|~~|^\s*(?:\d+[.)]|[-#>|]) ?")
    able = _bound(text, clean_names(text, language_of(material)))
    if not able:
        raise Unfit("no closing sentence with a name or a word that stands elsewhere too")
    at, last, name, term = one(able, seed, kind.name, material.id, "sentence", name=str)
    sentence = " ".join(last.split())
    pieces = text.split("\n\n")
    rest = pieces[at][: -len(last)].strip()
    given = "\n\n".join([*pieces[:at], rest, *pieces[at + 1 :]])
    text = "\n\n".join([*pieces[:at], f"{rest} {sentence}", *pieces[at + 1 :]])
    mark = one(list(kind.data["marks"]), seed, kind.name, material.id, "mark")
    new = f"<<{''.join(w[0] for w in name.split())}>>"
    turns, texts = _wishes(given, name, new, term, mark)
    wishes = kind.data["turns"].get(language_of(material), kind.data["turns"]["en"])
    slots = {"name": name, "new": new, "term": term, "mark": f"{mark}{term}{mark}", "paragraph": at + 1, "sentence": sentence}
    history: list[Message] = []
    for number, step in enumerate(turns):
        asked = wishes[step].format(**slots)
        history += [{"role": "user", "content": f"{asked}\n\n{given}" if number == 0 else asked},
                    {"role": "assistant", "content": texts[number]}]
    gold = _wishes(text, name, new, term, mark)[1][-1]
    request = request_for(kind, material, seed, **slots)
    session = {"plain": text, "replace": {"old": name, "new": new}, "term": term, "open": mark, "close": mark}
    made = task(material, kind, request, given, gold, [sentence, str(at + 1)], session=session, text_in_history=True,
                sentence=sentence, paragraph=at + 1, source=texts[-1])
    return replace(made, history=tuple(history))


def _bound(text: str, found: Sequence[str]) -> list[tuple[int, str, str, str]]:
    """Paragraph, its last sentence, a name and a word: both stand outside the sentence, one at least inside it too."""
    able = []
    for at, piece in enumerate(text.split("\n\n")):
        said = sentences(piece)
        if len(said) < 2 or text.count(said[-1]) != 1 or not piece.endswith(said[-1]) or len(said[-1]) > 300:
            continue
        last, outside = said[-1], text.replace(said[-1], " ")
        terms = [w for w in dict.fromkeys(re.findall(r"\b[a-zäöüß]{6,}\b", last)) if stands_alone(text, w)]
        terms = [w for w in terms if occurrences(outside, w)]
        for name in found:
            common = terms or [w for w in re.findall(r"\b[a-zäöüß]{6,}\b", outside) if stands_alone(text, w)][:1]
            if occurrences(outside, name) and (terms or occurrences(last, name)):
                able += [(at, last, name, term) for term in common[:2] if term not in name]
    both = [a for a in able if occurrences(a[1], a[2]) and occurrences(a[1], a[3])]
    return both or able


def _wishes(text: str, name: str, new: str, term: str, mark: str) -> tuple[list[str], list[str]]:
    """The standing wishes in their order, and the text after each."""
    first = replaced(text, [{"old": name, "new": new}])
    second = replaced(first, [{"old": term, "new": f"{mark}{term}{mark}"}])
    third = "\n\n".join(f"{i}. {p}" for i, p in enumerate(second.split("\n\n"), 1))
    return ["replace", "mark", "number"], [first, second, third]


def partners(kind: KindLike, first: str, seed: str, *place: object, k: int) -> list[str]:
    """The kinds that may follow `first`, by the taxonomy's table, in drawn order."""
    return draw([then for one_, then in kind.data["pairs"] if one_ == first], seed, "partners", *place, k=k)

