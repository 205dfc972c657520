"""Form-valid reply fields made by rule: what is to be copied is copied from the text, the rest says something of it.

Nothing here is meant to be good to read. It is meant to fit: bounds, choices, one credited option, a formula that
comes to its answer, quotes that stand in the text to the letter.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from preceptor.arithmetic import evaluate
from preceptor.checks.text import guess_language, names, sentences
from preceptor.checks.words import phrases
from preceptor.draws import draw, fraction, one
from preceptor.errors import Declined
from preceptor.prompts import LIST_MOST, TEXT_MOST
from preceptor.types import Field

COPIED = re.compile(
    r"letter for letter|to the letter|verbatim|unchanged|as (?:it is )?printed|exactly|copied|copy |lifted|quot(?:ed|e)"
    r"|unaltered|to the (?:character|last comma)|word for word|cut out|as they stand|in so many words"
    r"|as (?:spoken|drafted|the page)|taken over|in the words of your text|the words that"
    r"|as the text (?:words|writes|prints)|first words of|character by character"
)
PLAIN_NUMBER = re.compile(r"(?<![\w.,/:-])\d{1,6}(?:\.\d{1,3})?(?![\w,./:-]|\.\d)")
LOUD = re.compile(
    r"\d|\b(?:may|might|could|can|cannot|must|perhaps|possibly|probably|(?:un)?likely|tends?|sometimes|often|usually|some|least|part|partly"
    r"|appears?|seems?|suggests?|all|every|each|always|never|none|no|nobody|nothing|only|entirely|completely|wholly|solely"
    r"|impossible|any|certainly)\b",
    re.I,
)
WORDS = ("therefore", "in fact", "on the whole", "at this point", "by contrast", "as before", "in the end", "once more")
PEOPLE = ("Ada Brandt", "Tomas Ekelund", "Mira Osei", "Leon Varga", "Ines Duarte", "Pavel Novak")


@dataclass(frozen=True)
class Source:
    """A text to take things from."""

    text: str

    @cached_property
    def sentences(self) -> list[str]:
        """Its sentences of a bearable length, each once; lines where it has none (code, tables)."""
        found = [s.strip() for s in sentences(self.text)]
        if sum(20 <= len(s) <= 400 and "\n" not in s for s in found) < 3:
            found = [line.strip() for line in self.text.splitlines()]
        fit = [s for s in dict.fromkeys(found) if 12 <= len(s) <= 400 and "\n" not in s]
        return fit or [self.text.strip()[:300] or "nothing"]

    @cached_property
    def unique(self) -> list[str]:
        """The sentences that stand in the text exactly once."""
        return [s for s in self.sentences if self.text.count(s) == 1] or self.sentences[:1]

    @cached_property
    def quiet(self) -> list[str]:
        """The sentences without figures, hedges and sweeping words: options made of them do not mark the key."""
        return [s for s in self.sentences if not LOUD.search(s) and len(s) > 30]

    @cached_property
    def numbered(self) -> list[tuple[str, float]]:
        """Short quotes with a plain number in each, and the number."""
        found = []
        for match in PLAIN_NUMBER.finditer(self.text):
            start, end = max(0, match.start() - 30), min(len(self.text), match.end() + 30)
            if lead := re.search(r"\s", self.text[start : match.start()]):
                start += lead.end() if start else 0
            tail = self.text[match.end() : end]
            end = match.end() + (tail.rfind(" ") if " " in tail else len(tail))
            quote = self.text[start:end].strip()
            if "\n" not in quote and len(PLAIN_NUMBER.findall(quote)) == 1:
                found.append((quote, float(match[0])))
        return list(dict(found).items())

    @cached_property
    def names(self) -> list[str]:
        """Names that stand in it."""
        return [n for n in names(self.text) if len(n) < 60]

    def quotes(self, place: Sequence[Any], most: int, limit: int = 400) -> list[str]:
        """Up to `most` of its sentences, in their order, none longer than `limit`."""
        short = [s if len(s) <= limit else clipped(s, limit) for s in self.sentences]
        drawn = draw(range(len(short)), *place, k=most)
        return [short[i] for i in sorted(drawn)]

    def quote(self, place: Sequence[Any], limit: int = 400) -> str:
        """One of its sentences."""
        return self.quotes(place, 1, limit)[0]


def clipped(text: str, limit: int) -> str:
    """The beginning of `text`, whole words, at most `limit` characters; still a piece of it to the letter."""
    if len(text) <= limit:
        return text
    cut = text[:limit].rsplit(" ", 1)[0]
    return cut or text[:limit]


def sized(text: str, least: int, most: int, source: Source, place: Sequence[Any]) -> str:
    """`text`, made longer out of the source where it is too short, cut where it is too long."""
    turn = 0
    while len(text) < least:
        text += " " + one(WORDS, *place, turn).capitalize() + ", " + source.quote((*place, turn), 200)
        turn += 1
    return clipped(text, most).strip()


def composed(source: Source, least: int, most: int, place: Sequence[Any]) -> str:
    """A text of the source's sentences in their order, within the bounds."""
    aim = min(most, max(least + 200, 1200))
    start = int(fraction(*place, "start") * max(1, len(source.sentences) // 2))
    said: list[str] = []
    for turn in range(40):
        for sentence in source.sentences[start if not turn else 0 :]:
            if sum(map(len, said)) + len(said) >= aim:
                return _paragraphs(said, most)
            whole = sentence if sentence[-1] in ".!?" else sentence + "."
            said.append(whole if not turn else f"{one(WORDS, *place, turn).capitalize()}: {whole}")
    return _paragraphs(said, most)


def _paragraphs(said: Sequence[str], most: int) -> str:
    groups = [" ".join(said[i : i + 4]) for i in range(0, len(said), 4)]
    text = "\n\n".join(groups)
    while len(text) > most and len(said) > 1:
        said = said[:-1]
        text = "\n\n".join(" ".join(said[i : i + 4]) for i in range(0, len(said), 4))
    return text[:most]


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────


def invented(fields: Sequence[Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """A value for each declared field. Where a `text` is among them, it is composed first and the rest copies from it."""
    made: dict[str, Any] = {}
    ground = source
    if whole := next((f for f in fields if f.name == "text" and (f.min or 0) >= 150), None):
        made["text"] = composed(source, int(whole.min or 1), int(whole.max or TEXT_MOST), place)
        ground = Source(made["text"])
    for field in fields:
        if field.name not in made:
            made[field.name] = value_of(field, ground, (*place, field.name))
    return {f.name: made[f.name] for f in fields}


def value_of(field: Field, source: Source, place: Sequence[Any]) -> Any:
    """A value that the field allows."""
    match field.type:
        case "choice":
            return one(field.choices, *place)
        case "boolean":
            return fraction(*place) < 0.5
        case "number" | "integer":
            least = field.min if field.min is not None else 1
            most = field.max if field.max is not None else least + 9
            value = least + fraction(*place) * (most - least)
            return round(value) if field.type == "integer" or (value == int(value)) else round(value, 2)
        case "list":
            return _list(field, source, place)
        case "record":
            return {f.name: value_of(f, source, (*place, f.name)) for f in field.fields}
    return _text(field, source, place)


def _list(field: Field, source: Source, place: Sequence[Any]) -> list[Any]:
    least, most = int(field.min or 0), int(field.max or LIST_MOST)
    inner = field.of
    assert inner is not None
    wanted = min(most, max(least, 2))
    if inner.type == "record":
        return _records(inner, wanted, source, place)
    if inner.type == "text" and copied(field, inner):
        found = source.quotes(place, wanted, int(inner.max or TEXT_MOST))
        return found + found[:1] * (least - len(found))
    return [value_of(inner, source, (*place, n)) for n in range(wanted)]


def _records(record: Field, wanted: int, source: Source, place: Sequence[Any]) -> list[dict[str, Any]]:
    """Records whose `role` or `label` differs from one to the next, and which are numbered where they have a number."""
    made = []
    for n in range(wanted):
        entry = {f.name: value_of(f, source, (*place, n, f.name)) for f in record.fields}
        for f in record.fields:
            if f.type == "choice" and f.name in ("role", "label") and f.choices:
                entry[f.name] = f.choices[n % len(f.choices)]
            if f.type == "integer" and f.name in ("moment", "number"):
                entry[f.name] = n + 1
            if f.name == "needs" and f.type == "list":
                entry[f.name] = [n] if n else []
            if f.type == "text" and f.name == "name":
                entry[f.name] = clipped(PEOPLE[n % len(PEOPLE)], int(f.max or 60))
        made.append(entry)
    return made


def copied(*fields: Field) -> bool:
    """Whether what is asked for is a piece of the text."""
    named = ("quote", "evidence", "first_quote", "second_quote", "shown_in")
    return any(COPIED.search(f.about) or f.name in named for f in fields)


def _text(field: Field, source: Source, place: Sequence[Any]) -> str:
    least, most = int(1 if field.min is None else field.min), int(field.max or TEXT_MOST)
    if copied(field) and field.name != "question":
        return sized(source.quote(place, most), least, most, source, place)
    about = field.name.replace("_", " ")
    said = f"The {about} here: {source.quote(place, max(20, most - 40))}"
    return sized(said if len(said) <= most else clipped(source.quote(place, most), most), min(least, most), most, source, place)


# ── generators, by what they reply with ──────────────────────────────────────────────────────────────────────────


def question_fields(
    fields: Sequence[Field], source: Source, place: Sequence[Any], shape: str, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The reply of a generator whose kind has this shape. Raises Declined where the text does not hold what it takes."""
    by = {f.name: f for f in fields}
    made = invented(fields, source, place)
    if "answerable" in by:
        made["answerable"] = False
    if "twin" in by and "question" in by:
        inner = {f.name: f for f in by["twin"].fields}
        made["twin"] = _short(inner, source, place)
        most = int(by["question"].max or TEXT_MOST) - 40
        made["question"] = f"{clipped(made['twin']['question'], most)} And who first said so?"
        return made
    if "options" in by:
        _options(made, by, source, place)
    if "formula" in by and "working" in by:
        made |= _sum(by, source, place)
    elif shape == "order" and "items" in by:
        made |= _items(by, source, place)
    elif shape == "pairs" and "pairs" in by:
        made["pairs"] = _pairs(by["pairs"], source, place)
    elif shape == "label" and ("answer" in by or "labels" in by):
        if "labels" in by:
            count = max(2, int(by["labels"].min or 2))
            made["labels"] = list(LABELS[:count] if count > 2 else ("yes", "no"))
        if "answer" in by:  # otherwise it was drawn, and the flow knows it
            labels = by["answer"].choices or tuple(made.get("labels") or data.get("labels", ()))
            made["answer"] = one(labels, *place, "label") if labels else made["answer"]
    elif shape == "set" and "answers" in by:
        made |= _set(by, source, place)
    elif "answer" in by and by["answer"].type == "text":
        made |= _short(by, source, place)
    elif "answer" in by and by["answer"].type in ("number", "integer"):
        made |= _figure(by, source, place)
    if by.get("question") and shape not in ("short", "number"):
        made["question"] = _question(by["question"], made, source, place)
    return made


def _question(field: Field, made: Mapping[str, Any], source: Source, place: Sequence[Any]) -> str:
    least, most = int(field.min or 1), int(field.max or TEXT_MOST)
    said = (
        "Which of the following fits what is written here?"
        if "options" in made
        else "Read what is written here and give what is asked for."
    )
    if "statement" in made:
        said = f"What part does “{clipped(str(made['statement']), most - 60)}” play in the passage?"
    elif "detail" in made:
        said = f"Why does the author mention “{' '.join(clipped(str(made['detail']), most - 60).split()[:8])}”?"
    elif "lead_in" in made:
        said = f"Which ending best completes this sentence: {clipped(str(made['lead_in']), most - 70)} ______?"
    said = f"{said} ({' '.join(str(p) for p in place[-1:])})" if len(said) < 30 else said
    while len(said) < least:
        said += (" Go by what is written and by nothing else.", " Take it as it stands.", " Leave out what it does not say.")[
            len(said) % 3
        ]
    return said[:most]


def _options(made: dict[str, Any], by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> None:
    """One credited option, the others of other roles, all distinct and of about one length."""
    of = by["options"].of
    assert of is not None
    inner = {f.name: f for f in of.fields}
    count = len(made["options"]) if by["options"].min is None else int(by["options"].max or 4)
    count = max(2, min(int(by["options"].max or 5), max(count, int(by["options"].min or 4))))
    others = [c for c in inner["role"].choices if c != "credited"] or ["other"]
    roles = ["credited", *(others[n % len(others)] for n in range(count - 1))]
    least, most = int(inner["text"].min or 1), int(inner["text"].max or TEXT_MOST)
    size = min(most - 8, max(least + 20, 90))
    texts: list[str] = []
    asked = " ".join(str(made[name]) for name in ("detail", "lead_in", "statement") if name in made)
    ground = [s for s in source.quiet if s not in asked and asked[:30] not in s] or source.sentences
    start = int(fraction(*place, "from") * len(ground))
    for n in range(count):
        texts.append(
            _option(ground[(start + 3 * n) % len(ground)], n, size, most, place)
            if english(source.text)
            else _foreign(source, n, size)
        )
    made["options"] = [
        {
            f.name: (
                roles[n]
                if f.name == "role"
                else texts[n]
                if f.name == "text"
                else value_of(f, source, (*place, "option", n, f.name))
            )
            for f in of.fields
        }
        for n in range(count)
    ]
    for n, entry in enumerate(made["options"]):
        if "reason" in entry:
            entry["reason"] = _reason(inner["reason"], n, texts[n])
    for name in ("forms", "stands"):
        if name in made:
            for entry, role in zip(made[name], roles):
                entry["role"] = role
            made[name] = made[name][: len(roles)] + [{**made[name][0], "role": r} for r in roles[len(made[name]) :]]
            for n, entry in enumerate(made[name]):
                if "form" in entry:
                    entry["form"] = f"All {'ABCDE'[n % 5]} are B; x is {'not ' if n else ''}B; so x is {'' if n else 'not '}A"
    if "forms" in made and "form" in made:
        made["form"] = made["forms"][0]["form"]
    if "support" in made:
        for entry, role in zip(made["support"], others):
            entry["role"] = role
    if "stands" in made:
        _stands(made)


def _option(quote: str, n: int, size: int, most: int, place: Sequence[Any]) -> str:
    """Some words of the quote, brought to the size that all options have; no figure, hedge or sweeping word in it."""
    found = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", quote)
    kept = " ".join(w for w in found if not LOUD.search(w) and w.lower() not in loud())
    said = clipped(f"{one(OPENINGS, *place, n)} {_lower(kept)}", size)
    for turn in range(40):
        if len(said) >= size - 14:
            break
        said += " " + FILLERS[(n + 2 * turn) % len(FILLERS)]
    return f"{clipped(said, most - 8)} {MARKS[n % len(MARKS)]}"


def _foreign(source: Source, n: int, size: int) -> str:
    """A stretch of the text's own words, of the size that all options have."""
    words = [w for w in re.findall(r"[^\s\d]{2,}", source.text) if w.strip(".,;:!?“”").lower() not in loud()]
    start = n * 25 % max(1, len(words) - 25)
    return clipped(" ".join(words[start : start + 40]), size)


@lru_cache(maxsize=4096)
def english(text: str) -> bool:
    """Whether a text is not clearly in another language."""
    return guess_language(text) in ("en", "und")


@lru_cache(maxsize=1)
def loud() -> frozenset[str]:
    """Hedges and sweeping words of all languages that the checks know."""
    entries = [entry for lists in phrases("wording").values() for known in lists.values() for entry in known]
    return frozenset(word for entry in entries for word in entry.split())


MARKS = ("there", "then", "hence", "here", "though", "again", "still", "too")
FILLERS = (
    "as told",
    "by the author",
    "in these lines",
    "to the reader",
    "with reason",
    "on this page",
    "of that matter",
    "at heart",
)
REASONS = (
    "Two sentences of the text carry this together, and nothing in it stands against them.",
    "It reaches further than its ground; half of what it claims is told nowhere.",
    "Here cause and effect have changed places, which careless readers overlook.",
    "True enough outside, yet beside what was asked, since another matter is meant.",
    "A part has been taken for the whole: one example, no rule follows out of it.",
    "Somebody in the passage might say so, but its author never does.",
)


def _reason(field: Field, n: int, text: str) -> str:
    """A reason of its own for each option, within the field's bounds."""
    said = REASONS[n % len(REASONS)]
    while len(said) < int(field.min or 1):
        said += " " + text
    return clipped(said, int(field.max or TEXT_MOST))


LABELS = ("both of them", "only the first", "only the second", "neither of them", "a third one", "nobody")
OPENINGS = ("It is said that", "The text holds that", "One reads that", "It is told that", "The passage says that")


def _stands(made: dict[str, Any]) -> None:
    """Where two parties stand: on the credited statement they part (or agree, where agreement is asked for)."""
    agree = any(entry["role"] == "disputed" for entry in made["stands"])
    for entry in made["stands"]:
        first, second = {
            "credited": ("affirms", "affirms" if agree else "denies"),
            "accepted_by_both": ("affirms", "affirms"),
            "disputed": ("affirms", "denies"),
            "one_is_silent": ("affirms", "silent"),
            "held_by_one": ("affirms", "silent"),
        }.get(entry["role"], ("silent", "silent"))
        entry["first"], entry["second"] = first, second
        for who, stand in (("first_quote", first), ("second_quote", second)):
            if stand == "silent":
                entry.pop(who, None)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _sum(by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """Two figures of the text and what they come to."""
    of = by["working"].of
    assert of is not None
    limit = {f.name: int(f.max or TEXT_MOST) for f in of.fields}
    found = [(q, v) for q, v in source.numbered if len(q) <= limit.get("quote", 240)]
    pair = draw(found, *place, "figures", k=2, name=lambda f: f[0])
    if len({value for _, value in pair}) < 2:
        raise Declined("there are no two figures here that one could put together")
    (first, a), (second, b) = sorted(pair, key=lambda p: -p[1])
    formula = f"{shown(a)} - {shown(b)}"
    working = []
    for quote, value in ((first, a), (second, b)):
        known: dict[str, Any] = {"quote": quote, "value": value}
        working.append({f.name: known.get(f.name, "the figure in this place") for f in of.fields})
    answer = round(float(evaluate(formula)), 6)
    question = f"By how much is the figure in “{first}” greater than the one in “{second}”?"
    most = int(by["question"].max or TEXT_MOST)
    question = question if len(question) <= most else "By how much is the greater of the two figures greater?"
    if "+ 1" in by["formula"].about or "added up" in by["formula"].about:
        return _count(by, working, source, place)
    return {
        "working": working,
        "formula": formula,
        "answer": answer,
        "question": question,
        **({"unit": None if by["unit"].optional else "units"} if "unit" in by else {}),
    }


def _count(by: Mapping[str, Field], working: list[dict[str, Any]], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """How many there are: one for each place where one is met."""
    quotes = list(dict.fromkeys(clipped(q, 190) for q in source.quotes(place, 4, 400)))[:4]
    if len(quotes) < max(3, int(by["working"].min or 3)):
        raise Declined("there is too little here to be counted")
    entries = [{k: (quote if k == "quote" else 1 if k == "value" else "one of them") for k in working[0]} for quote in quotes]
    return {
        "working": entries,
        "formula": " + ".join("1" for _ in entries),
        "answer": len(entries),
        "question": "How many of the things that are meant here does the text name, each counted once?",
    }


def _figure(by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """A figure that stands in the text."""
    if not source.numbered:
        raise Declined("there is no figure here")
    quote, value = one(source.numbered, *place, "figure", name=lambda f: f[0])
    made: dict[str, Any] = {"answer": value if by["answer"].type == "number" else int(value)}
    gap = quote.replace(shown(value), "…", 1)
    made["question"] = f"Which figure belongs in the gap of these words of the text: “{gap}”?"
    if "evidence" in by:
        made["evidence"] = [quote] * max(1, int(by["evidence"].min or 1))
    return made


def shown(value: float) -> str:
    """The number as a person writes it."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}".rstrip("0")


def _items(by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    least = max(4, int(by["items"].min or 4))
    of = by["items"].of
    assert of is not None
    limit = min(int(of.max or TEXT_MOST), 80)
    quotes = list(dict.fromkeys(clipped(q, limit) for q in source.quotes(place, least + 2, 400)))[:least]
    if len(quotes) < least:
        raise Declined("too little happens here to be put in order")
    made: dict[str, Any] = {"items": quotes}
    if "evidence" in by:
        made["evidence"] = source.quotes(place, max(3, int(by["evidence"].min or 1)), int(of.max or TEXT_MOST))
        made["evidence"] += made["evidence"][:1] * (int(by["evidence"].min or 0) - len(made["evidence"]))
    return made


def _pairs(field: Field, source: Source, place: Sequence[Any]) -> list[dict[str, Any]]:
    """The beginning of a sentence with its end, where both stand there once."""
    of = field.of
    assert of is not None
    limits = {f.name: int(f.max or TEXT_MOST) for f in of.fields}
    least = max(4, int(field.min or 4))
    found: list[dict[str, Any]] = []
    for sentence in draw(source.sentences, *place, "pairs", k=60):
        pieces = sentence.split()
        left, right = " ".join(pieces[:4]), " ".join(pieces[-5:])
        fits = len(pieces) >= 10 and len(left) <= limits["left"] and len(right) <= limits["right"]
        if fits and left not in [p["left"] for p in found] and right not in [p["right"] for p in found]:
            entry = {"left": left, "right": right}
            found.append({f.name: entry.get(f.name, clipped(sentence, limits[f.name])) for f in of.fields})
    if len(found) < least:
        raise Declined("there are not four clean pairs here")
    return found[:least]


def _set(by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """Names where the text has three, else first words of sentences."""
    least, most = max(2, int(by["answers"].min or 2)), int(by["answers"].max or LIST_MOST)
    found = source.names if len(source.names) >= least else [" ".join(s.split()[:3]) for s in source.unique]
    found = list(dict.fromkeys(found))[: min(most, 4)]
    if len(found) < least:
        raise Declined("there are not enough of them here")
    made: dict[str, Any] = {"answers": found, "question": "Name everything of this sort that the text has."}
    if "evidence" in by:
        around = [source.text[max(0, source.text.find(n) - 20) : source.text.find(n) + len(n)].split("\n")[-1] for n in found]
        made["evidence"] = around[: int(by["evidence"].max or LIST_MOST)]
    return made


def _short(by: Mapping[str, Field], source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """A few words of a sentence, and the sentence with a gap in their place."""
    limit = int(by["answer"].max or TEXT_MOST)
    least = int(by["answer"].min or 1)
    for sentence in draw(source.unique, *place, "short", k=40):
        if least > 40 or "sentence" in by["answer"].about:
            answer = clipped(sentence, limit)
            break
        if answer := _span(sentence, limit, place):
            break
    else:
        raise Declined("there is nothing here that one could ask for")
    made: dict[str, Any] = {"answer": answer}
    if "evidence" in by:
        made["evidence"] = [sentence] * max(1, int(by["evidence"].min or 1))
    for name in ("source",):
        if name in by:
            made[name] = clipped(sentence, int(by[name].max or TEXT_MOST))
    if "accepts" in by:
        made["accepts"] = []
    if "question" in by:
        most = int(by["question"].max or TEXT_MOST)
        gap = sentence.replace(answer, "____", 1) if answer != sentence else "…"
        room = min(80, max(20, most - 70))
        at = gap.find("____")
        start = max(0, at - room // 2)
        made["question"] = sized(
            f"Which words of the text belong in the gap: “{gap[start : start + room]}”?",
            int(by["question"].min or 1),
            most,
            source,
            place,
        )
    return made


def _span(sentence: str, limit: int, place: Sequence[Any]) -> str:
    """Two or three words inside the sentence that stand in it once; a name or a number where it has one."""
    marked = names(sentence) + re.findall(r"\b\d[\d,.]*\d\b(?: [a-z]{5,12}\b)?", sentence)
    fit = [str(m) for m in marked if sentence.count(m) == 1 and len(m) <= limit]
    if fit:
        return one(fit, *place, "span")
    pieces = re.findall(r"[^\W\d_]{4,}(?: [^\W\d_]{4,})?", sentence)
    fit = [p for p in pieces[1:] if sentence.count(p) == 1 and len(p) <= limit]
    return str(one(fit, *place, "span")) if fit else ""
