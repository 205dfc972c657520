"""Builders of edits under a rule that code can read off the result, where many texts are right: no gold, exact checks."""

import re
from collections import Counter
from typing import Any

from preceptor.checks.form import FIRST, against
from preceptor.checks.text import names, numbers, sentences, words
from preceptor.draws import draw, one
from preceptor.skills.text_modification.building import (
    KindLike,
    Unfit,
    language_of,
    passage,
    quoted,
    request_for,
    task,
)
from preceptor.types import Instruction, Material


def facts(text: str, language: str, *place: object, most: int = 3) -> list[str]:
    """Numbers as digits and names that a right result must still hold."""
    found = [n for n in dict.fromkeys(numbers(text)) if re.search(rf"(?<![\w.,]){re.escape(n)}(?![\w.,]\d)", text)]
    chosen = draw(found, *place, "numbers", k=most - 1) + draw(names(text, language), *place, "names", k=most)
    return chosen[:most]


def vocabulary_limits(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A letter that must not occur, a longest word, words forbidden, or first letters of sentences; facts stay."""
    text = passage(material, kind, seed, most=900)
    language, drawn = language_of(material), (seed, kind.name, material.id)
    said = [w.casefold() for w in words(text)]
    if len(said) < 30 or language not in ("en", "de"):
        raise Unfit("too few words, or a language whose letters this rule does not know")
    kept = {w.casefold() for k in facts(text, language, *drawn) for w in words(k)}  # what has to stay cannot be forbidden
    common = [w for w, c in Counter(w for w in said if len(w) > 4 and w not in kept).most_common(12)]
    letters = [c for c in "bcdfgklmpvwyz" if 3 <= sum(c in w for w in said) <= len(said) // 5]
    rules: list[dict[str, Any]] = [
        {"name": "short_words", "n": one([7, 8, 9], *drawn, "n")},
        {"name": "without_words", "words": sorted(draw(common, *drawn, "words", k=5))},
        {"name": "sentence_initials", "letters": "".join(sorted(draw("abehimnostuw", *drawn, "initials", k=6)))},
    ]
    rules += [{"name": "without_letter", "letter": one(letters, *drawn, "letter")}] if letters else []
    rules = [r for r in rules if against(r, text, {w.casefold() for k in facts(text, language, *drawn) for w in words(k)})]
    rule = one(rules, *drawn, "rule", name=lambda r: str(r["name"]))
    keep = [k for k in facts(text, language, *drawn) if rule["name"] != "without_words" or k.casefold() not in common]
    if not keep:
        raise Unfit("no name or number that would show whether the text was kept")
    free = keep if rule["name"] in ("short_words", "without_letter") else []
    rule |= {"least": max(20, len(said) // 2), "except": free}
    shown = rule | {"words": quoted(rule.get("words", ())), "letters": ", ".join(rule.get("letters", ""))}
    rules_said = kind.data["rules"].get(language, kind.data["rules"]["en"])
    wording = rules_said[rule["name"]].format(**shown)
    request = request_for(kind, material, seed, rule=wording, keep=quoted(keep), least=rule["least"])
    says = [str(rule[k]) for k in ("letter", "n") if k in rule] + list(rule.get("words", ())) + keep
    return task(material, kind, request, text, None, says, vocabulary=rule, keep=keep, rule=wording)


def acrostic(material: Material, kind: KindLike, seed: str) -> Instruction:
    """The text told in lines whose first letters spell a word of it; its facts stay."""
    text = passage(material, kind, seed, most=1200)
    drawn = (seed, kind.name, material.id)
    able = [w for w, c in Counter(w for w in words(text) if 4 < len(w) < 9 and w.isascii() and w.islower()).items()]
    able = [w for w in able if w.isalpha() and not re.search(r"[xqzj]", w)]
    if not able:
        raise Unfit("no word of five to eight letters to spell")
    word = one(able, *drawn, "word").upper()
    keep = facts(text, language_of(material), *drawn, most=2)
    if not keep:
        raise Unfit("no name or number that would show whether the text was kept")
    request = request_for(kind, material, seed, word=word, count=len(word), keep=quoted(keep))
    return task(material, kind, request, text, None, [word, *keep], acrostic=word, keep=keep, count=len(word))


def person_change(material: Material, kind: KindLike, seed: str) -> Instruction:
    """First person to third, for a speaker named by role; quotations stay as they were said."""
    text = passage(material, kind, seed, most=1500)
    outside = re.sub(r"[\"“][^\"”]*[\"”]", "", text)
    if len(FIRST.findall(outside)) < 3:
        raise Unfit("the text is not told in the first person")
    if len(re.findall(r"^(?:\*\*|> ?)?[A-Z][\w .]{0,30}:", text, re.M)) > 1 or re.search(r"(?<!\w)['‘]\w[^\n]*\bI\b", text):
        raise Unfit("more than one person says I, or quotations that cannot be told from apostrophes")
    drawn = (seed, kind.name, material.id)
    role = one(list(kind.data["roles"]), *drawn, "role")
    forms = one(_unused_forms(text), *drawn, "forms", name=str)
    request = request_for(kind, material, seed, role=role, pronoun=forms[0])
    return task(material, kind, request, text, None, [role, forms[0]], person={"name": role, "forms": forms}, slack=0.08)


def _unused_forms(text: str) -> list[list[str]]:
    """The pronouns that the text uses least for anybody else, so that a reader can tell whom a later mention means."""
    used = Counter(w.casefold() for w in words(text))
    forms = [["she", "her", "hers"], ["he", "him", "his"], ["they", "them", "their"]]
    counts = [sum(used[form] for form in entry) for entry in forms]
    return [entry for entry, count in zip(forms, counts, strict=True) if count == min(counts)]


def split_sentences(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Long sentences become short ones with the same words in the same order, as far as grammar lets them."""
    text = passage(material, kind, seed, most=1500, without=r"^\s*(?:[-*|#>]|\d+[.)])|^[A-Z][\w .]{0,30}:")
    limit = one([14, 15, 16, 18], seed, kind.name, material.id, "limit")
    long = [s for s in sentences(text) if len(s.split()) > limit + 3]
    if len(long) < 2:
        raise Unfit(f"fewer than two sentences well over {limit} words")
    request = request_for(kind, material, seed, limit=limit, count=len(long))
    return task(material, kind, request, text, None, [str(limit)], sentence_words=limit, slack=0.12, count=len(long))
