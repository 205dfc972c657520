"""Builders that damage a text, keep a record of every fault, and ask for the repair; and lists of changes to carry out.

The damage is ours and on record, so what is right is known: the text before it.
"""

import re
from collections.abc import Callable, Sequence

from preceptor.checks.text import names, occurrences, paragraphs, plain_sentences, settled, stands_alone, words
from preceptor.draws import draw, one
from preceptor.skills.text_modification.building import (
    KindLike,
    Unfit,
    changes_of,
    clean_names,
    language_of,
    passage,
    quoted,
    replaced,
    request_for,
    task,
)
from preceptor.types import Instruction, Material

CODE_OR_TABLE = r"```|^\s*\||^ {4}|\t"
"""Lines in which a repair would be doubtful."""
Fault = tuple[int, str, str]
"""Where it goes in the clean text, what stands there, and what will stand there."""


def damaged(text: str, faults: Sequence[Fault]) -> tuple[str, list[dict[str, object]]]:
    """The text with the faults in it, and their record in the places of the damaged text. Faults must not overlap."""
    made, record, here = "", [], 0
    for at, right, wrong in sorted(faults):
        made += text[here:at]
        record.append({"at": len(made), "wrong": wrong, "right": right})
        made, here = made + wrong, at + len(right)
    return made + text[here:], record


def spaced(faults: Sequence[Fault], gap: int = 12) -> list[Fault]:
    """The faults in the order given, without those that come too near an earlier one."""
    kept: list[Fault] = []
    for fault in faults:
        if all(abs(fault[0] - k[0]) > gap + max(len(fault[1]), len(k[1])) for k in kept):
            kept.append(fault)
    return kept


def _found(pattern: str, text: str, wrong: Callable[[re.Match[str]], str]) -> list[Fault]:
    return [(m.start(), m[0], w) for m in re.finditer(pattern, text) if (w := wrong(m)) and w != m[0]]


def slips(text: str) -> dict[str, list[Fault]]:
    """Faults of a hasty writer that have one repair each, by sort. English function words only."""
    known = set(words(text.lower()))

    def turned(m: re.Match[str]) -> str:
        word, middle = m[0], len(m[0]) // 2
        made = word[:middle] + word[middle + 1] + word[middle] + word[middle + 2 :]
        return "" if made in known else made

    return {
        "letters": _found(r"\b[a-z]{8,}\b", text, turned),
        "doubled": _found(r"(?<= )(?:the|and|of|to|in|is|was|with|from|for|by)(?= [a-z])", text, lambda m: f"{m[0]} {m[0]}"),
        "capital": _found(r"(?<=[.!?] )(?:The|A|In|It|He|She|They|But|For|When|This|There)(?= [a-z])", text,
                          lambda m: m[0].lower()),
        "space": _found(r"(?<=[a-z]), (?=[a-z])", text, lambda m: ","),
        "article": _found(r"\ba(?= [bcdfgklmnpqrstvwz][a-z]{2})", text, lambda m: "an"),
    }


def grammar_repair(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Four to eight recorded slips of several sorts; the clean text is gold."""
    text = passage(material, kind, seed, most=1500, without=CODE_OR_TABLE)
    sorts = slips(text)
    drawn = (seed, kind.name, material.id)
    count = one([4, 5, 6, 7, 8], *drawn, "count")
    taken = [f for sort, faults in sorts.items() for f in draw(faults, *drawn, sort, k=3)]
    faults = spaced(draw(taken, *drawn, "faults", k=len(taken)))[:count]
    return _repair(material, kind, seed, text, faults, least=3)


def draft_repair(material: Material, kind: KindLike, seed: str) -> Instruction:
    """The recorded slips of a rough draft, each in one place; the draft without them is gold."""
    text = settled(material.text)
    faults: list[Fault] = []
    for defect in material.data.get("defects", ()):
        wrong, right = str(defect["wrong"]), str(defect["right"])
        if text.count(wrong) == 1 and wrong != right and right:
            faults.append((text.index(wrong), wrong, right))
    faults = [f for f in faults if not any(f is not g and g[0] < f[0] + len(f[1]) and f[0] < g[0] + len(g[1]) for g in faults)]
    if len(faults) < 3 or len(faults) < len(material.data.get("defects", ())) - 1:
        raise Unfit("the draft's slips are not all where its record says")
    clean, _ = damaged(text, faults)
    record = [{"at": at, "wrong": wrong, "right": right} for at, wrong, right in sorted(faults)]
    listed = "; ".join(sorted({str(d["sort"]) for d in material.data["defects"]}))
    request = request_for(kind, material, seed, count=len(record), sorts=listed)
    return task(material, kind, request, text, clean, [], faults=record, count=len(record), sorts=listed)


GARBLED = (("rn", "m"), ("cl", "d"), ("l", "1"), ("o", "0"), ("m", "rn"), ("h", "li"), ("w", "vv"))


def garbles(text: str) -> list[Fault]:
    """Words as a bad scan reads them; none becomes another word of the text. Short words are left readable."""
    known, found = set(words(text.lower())), []
    for word in re.finditer(r"(?<![\w-])[a-zäöü]{6,}(?![\w-])", text):
        for old, new in GARBLED:
            at = word[0].find(old, 1)
            if at > 0 and (made := word[0][:at] + new + word[0][at + len(old) :]) not in known:
                found.append((word.start(), word[0], made))
        if len(word[0]) > 8:
            middle = len(word[0]) // 2
            found.append((word.start(), word[0], f"{word[0][:middle]}-\n{word[0][middle:]}"))
    return found


def ocr_cleanup(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Six to twelve recorded misreadings of a scanner; the text as it was is gold."""
    text = passage(material, kind, seed, most=1500, without=CODE_OR_TABLE)
    drawn = (seed, kind.name, material.id)
    faults = spaced(draw(garbles(text), *drawn, "faults", k=200))[: one([6, 7, 8, 9, 10, 12], *drawn, "count")]
    return _repair(material, kind, seed, text, faults, least=4)


def consistency_repair(material: Material, kind: KindLike, seed: str) -> Instruction:
    """One mention of a name (or term), or of two, is misspelt; the other mentions, always more, tell what is right."""
    text = passage(material, kind, seed)
    able = [n for n in clean_names(text, language_of(material)) if _often(text, n)]
    able += [n for n in names(text, language_of(material)) if n not in " ".join(able) and _often(text, n)]
    term = r"\b[A-ZÄÖÜ]?[a-zäöüß]{6,}\b" if language_of(material) == "de" else r"\b[a-z]{7,}\b"
    able = able or [w for w in dict.fromkeys(re.findall(term, text)) if _often(text, w)]
    if not able:
        raise Unfit("no name or term that stands three times in one spelling")
    drawn = (seed, kind.name, material.id)
    faults: list[Fault] = []
    for name in draw(able, *drawn, "names", k=2):
        at = one(occurrences(text, name)[1:], *drawn, name)
        faults.append((at, name, misspelt(name)))
    faults = [f for f in faults if f[2] not in text]
    return _repair(material, kind, seed, text, spaced(faults, 0), least=1)


def _often(text: str, term: str) -> bool:
    """Whether one misspelt mention would be outvoted by the others."""
    return len(term) > 4 and len(occurrences(text, term)) > 2 and stands_alone(text, term)


def misspelt(name: str) -> str:
    """The name with its last inner vowel another one, or its middle letter doubled."""
    found = list(re.finditer(r"[aeiou](?=[a-zäöüß])", name))
    if found:
        at = found[-1].start()
        return name[:at] + {"a": "e", "e": "a", "i": "e", "o": "u", "u": "o"}[name[at]] + name[at + 1 :]
    middle = len(name) // 2
    return name[:middle] + name[middle] + name[middle:]


def _repair(material: Material, kind: KindLike, seed: str, text: str, faults: Sequence[Fault], least: int) -> Instruction:
    if len(faults) < least:
        raise Unfit(f"room for {len(faults)} faults; {least} are needed")
    wrong, record = damaged(text, faults)
    counted = kind.data.get("counted", {}).get(language_of(material), ())
    slots = {"counted": counted[len(faults) - 1]} if len(faults) <= len(counted) else {}
    request = request_for(kind, material, seed, count=len(faults), **slots)
    gone = [str(f["wrong"]) for f in record if str(f["wrong"]).casefold() not in text.casefold()]
    return task(material, kind, request, wrong, text, [], faults=record, count=len(faults), targets=gone)


# ── notes and lists of changes ───────────────────────────────────────────────────────────────────────────────────

SPELLED = {"en": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
           "de": ("zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")}


def review_comments(material: Material, kind: KindLike, seed: str) -> Instruction:
    """An editor's notes stand in the text, in square brackets; following them and taking them out gives the gold."""
    text = passage(material, kind, seed, without=r"\[")
    language = language_of(material)
    said = kind.data["notes"].get(language, kind.data["notes"]["en"])
    drawn = (seed, kind.name, material.id)
    notes: list[tuple[int, str, str, str]] = []
    for m in re.finditer(r"(?<![\w.,:/-])(?:[2-9]|1[0-2])(?= [a-zäöü]{3,})(?! (?:am|pm|a\.m|p\.m))", text):
        spelled = SPELLED.get(language, SPELLED["en"])[int(m[0]) - 2]
        notes.append((m.start(), m[0], said["spell"].format(new=spelled), spelled))
    for name in clean_names(text, language):
        at = text.index(name)
        notes += [(at, name, said["capitals"], name.upper()), (at, name, said["stet"], name)]
    for sentence in _cuttable(text):
        at = text.index(" " + sentence)
        notes.append((at, " " + sentence, said["cut"], ""))
    taken: list[tuple[int, str, str, str]] = []
    for note in draw(notes, *drawn, "notes", k=len(notes)):
        if all(note[0] + len(note[1]) < t[0] or t[0] + len(t[1]) < note[0] for t in taken):
            taken.append(note)
    return _with_notes(material, kind, seed, text, sorted(taken[:5]))


def _cuttable(text: str) -> list[str]:
    """Sentences inside a paragraph of plain ones, each only once in the text."""
    inner = [s for p in paragraphs(text) if (plain := plain_sentences(p)) and len(plain) > 2 for s in plain[1:]]
    return [s for s in inner if text.count(" " + s) == 1 and f"  {s}" not in text and "\n" not in s]


def _with_notes(
    material: Material, kind: KindLike, seed: str, text: str, notes: Sequence[tuple[int, str, str, str]]
) -> Instruction:
    if len(notes) < 2:
        raise Unfit("room for fewer than two notes")
    given = gold = text
    record = []
    for at, old, note, new in reversed(notes):
        span = f"{old} [ed.: {note}]"
        given = given[:at] + span + given[at + len(old) :]
        gold = gold[:at] + new + gold[at + len(old) :]
        record.append({"span": span, "becomes": new})
    if any(given.count(r["span"]) != 1 for r in record):
        raise Unfit("two notes read alike")
    request = request_for(kind, material, seed, count=len(record))
    return task(material, kind, request, given, gold, ["[ed.:"], notes=record, count=len(record))


def apply_changes(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Two to four changes described in words, in an order, each on its own part of the text."""
    text = passage(material, kind, seed)
    language = language_of(material)
    said = kind.data["steps"].get(language, kind.data["steps"]["en"])
    drawn = (seed, kind.name, material.id)
    steps: list[dict[str, object]] = []
    gold, lines = text, []
    names_ = [n for n in clean_names(text, language) if len(n.split()) > 1]
    short = {n: f"{n.split()[0][0]}. {n.split()[-1]}" for n in names_}
    if names_:
        name = one(names_, *drawn, "name")
        gold = replaced(gold, changes_of([(name, short[name])]))
        steps.append({"do": "replace", "old": name, "new": short[name]})
        lines.append(said["replace"].format(old=name, new=short[name]))
    if able := [s for s in _cuttable(gold) if not any(n.split()[-1] in s for n in names_)]:
        sentence = one(able, *drawn, "sentence")
        gold = gold.replace(" " + sentence, "")
        steps.append({"do": "delete", "sentence": sentence})
        lines.append(said["delete"].format(sentence=sentence))
    pieces = gold.split("\n\n")
    if len(pieces) > 1 and len(pieces[0].split()) > 3 and pieces[0].split()[:4] != pieces[-1].split()[:4]:
        opening = " ".join(pieces[0].split()[:4])
        gold = "\n\n".join([*pieces[1:], pieces[0]])
        steps.append({"do": "last", "begins": opening})
        lines.append(said["last"].format(opening=opening))
    if len(steps) < 2:
        raise Unfit("fewer than two changes that could be described without a doubt")
    listed = "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    says = [str(s.get(k)) for s in steps for k in ("old", "new", "sentence", "begins") if k in s]
    return task(material, kind, request_for(kind, material, seed, steps=listed), text, gold, says, steps=steps, listed=listed)


def undo_edit(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A text as a colleague changed it, and what the colleague did; gold is the text before."""
    text = passage(material, kind, seed)
    language = language_of(material)
    drawn = (seed, kind.name, material.id)
    found = clean_names(text, language)
    cut = [(i, s) for i, p in enumerate(text.split("\n\n"), 1) for s in _cuttable(p) if text.count(s) == 1]
    cut = [(i, s) for i, s in cut if text.split("\n\n")[i - 1].endswith(s) and not any(n in s for n in found)]
    if not found or not cut:
        raise Unfit("no name to restore, or no last sentence of a paragraph to put back")
    name, (at, sentence) = one(found, *drawn, "name"), one(cut, *drawn, "cut", name=str)
    marker = "".join(w[0] for w in name.split()) + "."
    if marker in text:
        raise Unfit("the shortened name stands in the text already")
    changed = replaced(text.replace(" " + sentence, ""), changes_of([(name, marker)]))
    steps = [{"do": "replace", "old": marker, "new": name}, {"do": "insert", "sentence": sentence, "paragraph": at}]
    request = request_for(kind, material, seed, name=name, marker=marker, sentence=sentence, paragraph=at)
    return task(material, kind, request, changed, text, [name, marker, sentence, str(at)], steps=steps,
                listed=quoted([name, marker, sentence]), paragraph=at)
