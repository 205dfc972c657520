"""Edits that have no single right text, done by rule so that what code can check of them holds.

What they say is of no use to anybody; whether a check accepts what keeps its rule, and nothing else, is.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from preceptor.checks.text import sentences
from preceptor.types import Instruction

ALPHABET = {
    "a": "apples",
    "b": "bread",
    "c": "cold",
    "d": "days",
    "e": "even",
    "f": "fish",
    "g": "good",
    "h": "houses",
    "i": "in",
    "j": "jam",
    "k": "kind",
    "l": "long",
    "m": "men",
    "n": "new",
    "o": "old",
    "p": "pots",
    "q": "quick",
    "r": "rain",
    "s": "some",
    "t": "ten",
    "u": "up",
    "v": "vans",
    "w": "we",
    "x": "x-rays",
    "y": "years",
    "z": "zinc",
}
BANK = (
    "we",
    "go",
    "by",
    "the",
    "old",
    "mill",
    "and",
    "see",
    "it",
    "run",
    "on",
    "days",
    "of",
    "rain",
    "men",
    "put",
    "up",
    "a",
    "hut",
    "there",
    "is",
    "bread",
    "for",
    "us",
    "cold",
    "wind",
    "keeps",
    "fish",
    "fresh",
)


def solve(instruction: Instruction) -> str | None:
    """A text that does what the task asks for; None where the kind's gold is the answer or nothing is known of the kind."""
    if instruction.shape != "edit" or (instruction.gold is not None and instruction.gold.value is not None):
        return None
    data = instruction.data
    for key, done in SOLVERS.items():
        if data.get(key):
            return done(instruction, data)
    return instruction.material.text


def _vocabulary(instruction: Instruction, data: Mapping[str, Any]) -> str:
    """Words that keep the rule, with what has to stay between them, until there are enough of them."""
    rule, keep = data["vocabulary"], [str(k) for k in data.get("keep", ())]
    allowed = [w for w in BANK if _allows(rule, w)]
    if rule["name"] == "sentence_initials":
        return " ".join(_sentence(letter, keep if n == 0 else []) for n, letter in enumerate(_letters(rule)))
    said: list[str] = []
    while len(said) < int(rule.get("least", 20)) + 12:
        n = len(said) + 1
        if rule["name"] == "nth_word_initial" and n % int(rule["n"]) == 0:
            said.append(ALPHABET[rule["letter"]])
        else:
            said.append(keep.pop(0) if keep else allowed[n % len(allowed)])
    return " ".join(said).capitalize() + "."


def _allows(rule: Mapping[str, Any], word: str) -> bool:
    match rule["name"]:
        case "without_letter":
            return str(rule["letter"]) not in word
        case "short_words":
            return len(word) <= int(rule["n"])
        case "without_words":
            return word not in {str(w).casefold() for w in rule["words"]}
    return True


def _letters(rule: Mapping[str, Any]) -> Iterator[str]:
    for n in range(max(6, int(rule.get("least", 20)) // 6 + 2)):
        yield rule["letters"][n % len(rule["letters"])]


def _sentence(letter: str, keep: list[str]) -> str:
    """A sentence that begins with the letter and holds what has to stay."""
    held = f" with {' and '.join(keep)}" if keep else ""
    return f"{ALPHABET[letter].capitalize()} lie here as before{held} on the table."


def _acrostic(instruction: Instruction, data: Mapping[str, Any]) -> str:
    keep = [str(k) for k in data.get("keep", ())]
    lines = [f"{ALPHABET[c.casefold()].capitalize()} lie here once more" for c in str(data["acrostic"])]
    return "\n".join(f"{line}, {keep[n]}" if n < len(keep) else line for n, line in enumerate(lines))


def _person(instruction: Instruction, data: Mapping[str, Any]) -> str:
    """I, me and my become the person's, outside quotation marks; the first of them becomes the name."""
    name, (he, him, his) = str(data["person"]["name"]), (str(f) for f in data["person"]["forms"])
    own = {"her": "her", "him": "his", "them": "their"}.get(him, his)
    forms = {
        "i": he,
        "me": him,
        "my": own,
        "mine": own,
        "myself": f"{him}self",
        "i'm": f"{he} is",
        "i've": f"{he} has",
        "i'd": f"{he} would",
        "i'll": f"{he} will",
    }
    seen = False

    def other(match: re.Match[str]) -> str:
        nonlocal seen
        word = match[0].replace("’", "'")
        new = forms.get(word.casefold(), word)
        new = new.capitalize() if word[0] == "M" else new
        if not seen and word == "I":
            seen = True
            return name
        return new

    pieces = re.split(r"([\"“][^\"”]*[\"”])", instruction.material.text)
    pattern = r"\b(?:I['’](?:m|ve|d|ll)|I|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself)\b"
    done = [piece if n % 2 else re.sub(pattern, other, piece) for n, piece in enumerate(pieces)]
    text = "".join(done)
    return (text if name in text else f"{text.rstrip()} So says {name}.") + f" So {he} said."


def _short(instruction: Instruction, data: Mapping[str, Any]) -> str:
    """Sentences that are too long end earlier; every word stays where it was."""
    most = int(data["sentence_words"])
    tries = (_cut(instruction.material.text, size) for size in range(most, most // 2, -1))
    fit = (text for text in tries if all(len(s.split()) <= most for s in sentences(text)))
    return next(fit, _cut(instruction.material.text, most))


def _cut(text: str, size: int) -> str:
    made = []
    for sentence in sentences(text):
        tokens = sentence.split()
        for start in range(0, len(tokens), size):
            part = " ".join(tokens[start : start + size]).rstrip(",;:–—-")
            made.append(part[:1].upper() + part[1:] + ("" if part[-1:] in ".!?" else "."))
    return " ".join(made)


def _budget(instruction: Instruction, data: Mapping[str, Any]) -> str:
    least, most = int(data.get("min_words") or 0), int(data.get("max_words") or 0)
    tokens = instruction.material.text.split()
    while len(tokens) < least:
        tokens += tokens
    return " ".join(tokens[: most or None])


SOLVERS: Mapping[str, Callable[[Instruction, Mapping[str, Any]], str]] = {
    "vocabulary": _vocabulary,
    "acrostic": _acrostic,
    "person": _person,
    "sentence_words": _short,
    "min_words": _budget,
    "max_words": _budget,
}
