"""Material for edits, made by rule: the document's sentences in everyday clothes, with the things that edits work on.

Each text is the document's own sentences, and a paragraph or two with what its genre would have: people who write,
headings, sources in brackets, measures and days, a record of slips.
"""

import re
from collections.abc import Sequence
from typing import Any

from preceptor.draws import draw, one
from preceptor.prompts import TEXT_MOST
from preceptor.testing.invent import Source, clipped, invented
from preceptor.types import Agent, Request

NAMES = ("Ada Brandt", "Tomas Ekelund", "Mira Osei", "Leon Varga", "Ines Duarte", "Pavel Novak")
CITING = (
    "The question is an old one (Brandt, 1998), and the first to count anything was a schoolmaster (Ekelund and Osei, 2004). "
    "A later survey found the same (Varga, 2011), though it asked fewer people (Brandt, 1998)."
)
MEASURED = (
    "The path was 12 miles long on 14 March 2019. By 3 June 2020 a further 4 miles had been added. On 21 May 2021 the ferry "
    "at its end was moved by 310 feet, and on 9 August 2022 the last stretch was closed. The keeper's hut stands 1,250 feet "
    "above the quay."
)
PLAIN = (
    "{who} keeps the register of visitors. The register lies open at the door until evening. Most people only look at it. "
    "Towards evening {who} closes the register and takes it home."
)
FIRST = (
    "I came here in the spring and I have kept my own notes since then. My neighbours call me careful, and I think they are "
    "right. When somebody asks me about the old days I read to them what I wrote."
)
SLIPS = (
    ("agreement", "The results was clear to everybody.", "The results were clear to everybody."),
    ("spelling", "Nobody had recieved the letter.", "Nobody had received the letter."),
    ("doubled word", "They went to the the harbour.", "They went to the harbour."),
    ("article", "It was an hard winter.", "It was a hard winter."),
    ("tense", "Yesterday he walk home alone.", "Yesterday he walked home alone."),
    ("preposition", "She insisted in paying at once.", "She insisted on paying at once."),
)


def sober(source: Source) -> list[str]:
    """The document's sentences without marks that an edit could stumble over."""
    found = [s for s in source.sentences if not re.search(r"[<>\[\]{}*_`|#~=]|^\W*\d+[.)]", s)]
    return [s if s[-1] in ".!?" else s + "." for s in found]


def told(source: Source, place: Sequence[Any], count: int = 6) -> str:
    """Some of those sentences, in their order."""
    said = sober(source)
    drawn = sorted(draw(range(len(said)), *place, "told", k=count))
    return " ".join(said[n] for n in drawn)


def dresses(teacher: Any, agent: Agent, request: Request) -> Any:
    """The text of a genre of everyday writing, with the fields that its agent declares."""
    from preceptor.testing.simulated import ground

    source, place = ground(request), teacher.place(request)
    genre = agent.name.rpartition("/")[2]
    fields = invented(agent.fields, source, place)
    most = next((int(f.max or TEXT_MOST) for f in agent.fields if f.name == "text"), TEXT_MOST)
    fields |= MAKERS[genre](source, (*place, genre))
    fields["text"] = clipped(fields["text"], most)
    return fields


def _notice(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    return {"text": f"{told(source, place)}\n\n{CITING}\n\n{MEASURED}"}


def _review(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    who = one(NAMES, *place, "who")
    return {"text": f"{_session(who)}\n\n{told(source, place, 5)}"}


def _thread(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    titles = ("What was asked", "What came back", "After that")
    parts = "\n\n".join(f"## {title}\n\n{told(source, (*place, title), 3)}" for title in titles)
    return {"text": f"# A question about this\n\n{parts}\n\n{FIRST}"}


def _letters(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    first, second = draw(NAMES, *place, "who", k=2)
    text = (
        f"{first} wrote on 2 April 2021: {told(source, place, 3)}\n\n{second} replied the next day. "
        f"{told(source, (*place, 2), 3)} So {first} said, and {second} agreed with it.\n\n{PLAIN.format(who=first)}"
    )
    while len(text) < 500:
        text += f" {first} also asked {second} to keep a copy of it for the house."
    return {"text": text, "people": [first, second]}


def _chat(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    who = draw(NAMES, *place, "who", k=3)
    said = draw(sober(source), *place, "said", k=6)
    lines = [f"{who[n % 3]}: {sentence}" for n, sentence in enumerate(said)]
    text = "\n".join(lines) + f"\n{who[0]}: I asked {who[1]} about it on 5 May 2022 and {who[1]} said no."
    while len(text) < 500:
        text += f"\n{who[1]}: I wrote it down so that {who[2]} can read it, and {who[2]} said thanks to me."
    return {"text": text, "speakers": list(who)}


def _draft(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    slips = draw(SLIPS, *place, "slips", k=5)
    said = sober(source)
    text, defects = told(source, place, min(6, len(said))), []
    for sort, wrong, right in slips:
        if wrong not in text:
            text += f" {wrong}"
            defects.append({"sort": sort, "wrong": wrong, "right": right})
    while len(text) < 500:
        text += f" {PLAIN.format(who=one(NAMES, *place, len(text)))}"
    return {"text": text, "defects": defects}


def _records(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    words = list(dict.fromkeys(re.findall(r"[^\W\d_]{4,12}", " ".join(source.sentences))))
    named = draw(words, *place, "rows", k=6)
    rows = [f"{word},{17 + 23 * n},{1971 + 7 * n}" for n, word in enumerate(named)]
    return {"text": "\n".join(["item,count,year", *rows])}


def _ticket(source: Source, place: Sequence[Any]) -> dict[str, Any]:
    who = one(NAMES, *place, "who")
    return {"text": f"{told(source, place, 4)}\n\n{PLAIN.format(who=who)}\n\n{MEASURED}\n\n{FIRST}"}


def _session(who: str) -> str:
    """Paragraphs of plain sentences in which a name and a word come back: what a session of edits needs."""
    return (
        f"The keeper opens the gate at seven. In the morning {who} looks after the register of boats. Most skippers sign "
        f"the register without a word.\n\nTowards evening the gate is closed. The harbour is quiet then. Nobody but {who} "
        "may write in the register."
    )


MAKERS = {
    "press_notice": _notice,
    "customer_review": _review,
    "forum_thread": _thread,
    "email_thread": _letters,
    "staff_chat": _chat,
    "rough_draft": _draft,
    "records": _records,
    "support_ticket": _ticket,
}
HANDLERS = {f"1_transform/{genre}": dresses for genre in MAKERS}
