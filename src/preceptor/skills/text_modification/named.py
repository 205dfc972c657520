"""Builders of edits that name what changes: terms, names, marks, case, values, one fact."""

import re
from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from preceptor.checks.converted import NORMAL
from preceptor.checks.text import MONTHS, NOT_NAMES, occurrences, plain_sentences, running, sentences, stands_alone, words
from preceptor.draws import draw, fraction, one
from preceptor.skills.text_modification.building import (
    KindLike,
    Unfit,
    changes_of,
    clean_names,
    language_of,
    parts_elsewhere,
    passage,
    quoted,
    replaced,
    request_for,
    task,
)
from preceptor.types import Instruction, Material


def place(material: Material, kind: KindLike, seed: str, what: str) -> tuple[str, ...]:
    """Where this builder draws `what`."""
    return (seed, kind.name, material.id, what)


def some_names(text: str, material: Material, kind: KindLike, seed: str, least: int = 1, most: int = 4) -> list[str]:
    """Between `least` and `most` unmistakable names of the text, in the order of their first mention."""
    found = clean_names(text, language_of(material))
    if len(found) < least:
        raise Unfit(f"{len(found)} names that could not be mistaken; {least} are needed")
    taken = draw(found, *place(material, kind, seed, "names"), k=most)
    return sorted(taken, key=text.index)


def keyword_replace(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Swap two names, shorten names to initials, turn names into template fields, or put plain words for stiff ones."""
    text = passage(material, kind, seed)
    ways = {"swap": _swap, "initials": _initials, "fields": _fields, "plain": _plain}
    for way in draw(sorted(ways), *place(material, kind, seed, "way"), k=len(ways)):
        pairs = ways[way](text, material, kind, seed)
        if pairs:
            changes = changes_of(pairs)
            listed = "; ".join(f"“{old}” → “{new}”" for old, new in pairs)
            gone = [old for old, _ in pairs if old not in [new for _, new in pairs]]
            gone = [old for old in gone if not any(old.casefold() in new.casefold() for _, new in pairs)]
            return task(material, kind, request_for(kind, material, seed, listed=listed), text, replaced(text, changes),
                        [s for pair in pairs for s in pair], changes=changes, targets=gone, way=way)
    raise Unfit("no term that could be replaced without a doubt")


Pairs = list[tuple[str, str]]


def _swap(text: str, material: Material, kind: KindLike, seed: str) -> Pairs:
    found = draw(people(text, language_of(material)), *place(material, kind, seed, "swap"), k=2)
    return [(found[0], found[1]), (found[1], found[0])] if len(found) == 2 else []


def _initials(text: str, material: Material, kind: KindLike, seed: str) -> Pairs:
    pairs = [(n, "".join(w[0] for w in n.split())) for n in clean_names(text, language_of(material)) if len(n.split()) > 1]
    pairs = [(n, i) for n, i in pairs if not occurrences(text, i)]
    return pairs[:3] if len({i for _, i in pairs[:3]}) == len(pairs[:3]) else pairs[:1]


def _fields(text: str, material: Material, kind: KindLike, seed: str) -> Pairs:
    found = draw(clean_names(text, language_of(material)), *place(material, kind, seed, "fields"), k=3)
    return [(n, f"<<name_{i}>>") for i, n in enumerate(sorted(found, key=text.index), 1)]


def _plain(text: str, material: Material, kind: KindLike, seed: str) -> Pairs:
    lexicon = kind.data.get(f"plain_{language_of(material)}", {})
    pairs: Pairs = []
    for old, new in lexicon.items():
        if not stands_alone(text.replace(old.capitalize(), ""), old) and not occurrences(text, old.capitalize()):
            continue
        forms = [(old, new), (old.capitalize(), new.capitalize())]
        loose = len(re.findall(re.escape(old), text, re.I))
        if loose == sum(len(occurrences(text, o)) for o, _ in forms):
            pairs += [(o, n) for o, n in forms if occurrences(text, o)]
    return pairs[:4]


def redact(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Every mention of the listed names becomes one marker, drawn from the kind's list."""
    text = passage(material, kind, seed)
    targets = some_names(text, material, kind, seed, most=4)
    markers = kind.data.get(f"markers_{language_of(material)}") or kind.data["markers"]
    marker = one([m for m in markers if m not in text], *place(material, kind, seed, "marker"))
    changes = changes_of((t, marker) for t in targets)
    request = request_for(kind, material, seed, targets=quoted(targets), marker=marker)
    return task(material, kind, request, text, replaced(text, changes), [*targets, marker], changes=changes,
                targets=targets)


PERSON_VERBS = (
    r"(?:said|says|asked|asks|wrote|writes|replied|told|added|explained|argued|noted|wondered|agreed|who|thought|thinks|answered"
    r"|proposed|suggested|complained|promised|noticed|insisted|remembered|believed|knew|knows|wanted|wants|decided|measured"
    r"|carried|built|bought|kept|keeps|signed|reported|laughed|walked|lives|lived|worked|works)")
ROLES = (
    r"(?:chair|treasurer|secretary|clerk|doctor|nurse|captain|professor|engineer|keeper|baker|manager|director|officer|guide"
    r"|teacher|physicist|astronomer|brother|sister|son|daughter|wife|husband|mother|father|uncle|aunt|cousin|friend|colleague"
    r"|author|member|skipper|pilot|archivist|mayor|councillor|miller|widow|owner|builder|farmer|trader|judge|porter|smith)")
PART = r"[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]+"
BODIES = frozenset(("People", "Others", "Committee", "Council", "Society", "Company", "Board", "Members", "Association"))


def people(text: str, language: str) -> list[str]:
    """Whom the text shows to be people and calls by one name only. First mention first.

    Shown by a title, as a speaker, by a post (the clerk Ida, Ida, our clerk), or because they say, keep or build something.
    """
    name = rf"({PART}(?: {PART}){{0,2}})"
    said = running(text)
    spoken = re.findall(rf"{name} {PERSON_VERBS}\b|\b{PERSON_VERBS} {name}", said)
    posts = re.findall(rf"\b{ROLES},? {name}|{name}, (?:the|our|his|her|their|a|an) (?:\w+ )?{ROLES}\b", said)
    titled = re.findall(rf"\b(?:Mr|Mrs|Ms|Dr|Prof|Miss|Herrn?|Frau|Sir|Lady)\.? {name}", text)
    lines = Counter(re.findall(rf"^(?:\*\*)?{name}(?:\*\*)?:", text, re.M))
    shown = [n for pair in (*spoken, *posts) for n in pair if n and not set(n.split()) & (NOT_NAMES | BODIES)]
    common = set(re.findall(r"(?<![\w’'-])[a-zà-öø-ÿ]+", text))
    shown = [n for n in shown if n.split()[-1].lower() not in common and n.split()[0].lower() not in common]
    found = dict.fromkeys([*titled, *shown, *(n for n, c in lines.items() if c > 1 and not set(n.split()) & NOT_NAMES)])
    sound = [n for n in found if stands_alone(text, n) and not any(n != m and n in m for m in found)]
    return sorted((n for n in sound if not parts_elsewhere(text, n)), key=text.index)


def pseudonymise(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Each listed person gets one alias, lettered by first mention."""
    text = passage(material, kind, seed)
    found = people(text, language_of(material))[:6]
    if len(found) < 2:
        raise Unfit(f"{len(found)} people that the text shows to be people; 2 are needed")
    label = one([x for x in kind.data["aliases"] if x not in text], *place(material, kind, seed, "alias"))
    changes = changes_of((n, f"{label} {'ABCDEF'[i]}") for i, n in enumerate(found))
    request = request_for(kind, material, seed, people=quoted(found), label=label, first=f"{label} A", second=f"{label} B")
    return task(material, kind, request, text, replaced(text, changes), [*found, label], changes=changes, targets=found)


def case(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Capitals or small letters by a rule drawn for the text; only letters whose case changes nothing else."""
    text = passage(material, kind, seed, most=1400)
    if text.upper() == text.lower() or len(text.upper()) != len(text) or len(text.lower()) != len(text):
        raise Unfit("letters of this text have no case, or change length with it")
    drawn = place(material, kind, seed, "rule")
    n, long = one([3, 4, 5, 6, 7], *drawn, "n"), one([7, 8, 9, 10], *drawn, "long")
    plain = Counter(w.lower() for w in words(text) if len(w) > 3 and w.isalpha())
    letter = one(sorted({w[0] for w in plain if w[0].isascii()} or {"s"}), *drawn, "letter")
    rules: list[dict[str, Any]] = [{"name": "every_nth", "n": n}, {"name": "long_words", "n": long}, {"name": "all_lower"},
                                   {"name": "starting_with", "letter": letter}]
    for rule in draw(rules, *drawn, k=4, name=lambda r: str(r["name"])):
        wording = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])[rule["name"]]
        gold = _recased(text, rule)
        if gold != text:
            said = wording.format(**rule)
            return task(material, kind, request_for(kind, material, seed, rule=said), text, gold,
                        [str(v) for k, v in rule.items() if k != "name"], case=rule, rule=said)
    raise Unfit("no rule of case would change this text")


def _recased(text: str, rule: Mapping[str, Any]) -> str:
    pieces = re.split(r"(\s+)", text)
    for i in range(0, len(pieces), 2):
        pieces[i] = _token_recased(pieces[i], i // 2 + 1, rule)
    return "".join(pieces)


def _token_recased(token: str, number: int, rule: Mapping[str, Any]) -> str:
    if rule["name"] == "every_nth":
        hit = number % int(rule["n"]) == 0
    elif rule["name"] == "long_words":
        hit = len(re.findall(r"[^\W\d_]", token)) >= int(rule["n"])
    elif rule["name"] == "starting_with":
        hit = re.sub(r"^\W+", "", token)[:1].casefold() == rule["letter"]
    else:
        return token.lower()
    return token.upper() if hit else token


def style_markup(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Listed names, and words the text repeats, get the marks of a drawn style each."""
    text = passage(material, kind, seed)
    counted = Counter(w for w in words(text) if len(w) > 5 and w.islower())
    repeated = [w for w, c in counted.items() if 2 <= c <= 5 and stands_alone(text, w)]
    terms = draw(clean_names(text, language_of(material)), *place(material, kind, seed, "names"), k=2)
    terms += draw(repeated, *place(material, kind, seed, "words"), k=3 - len(terms))
    styles = [s for s in kind.data["styles"] if s["open"] not in text]
    if not terms or len(styles) < 2:
        raise Unfit("no term stands out, or the text is full of marks already")
    first, second = draw(styles, *place(material, kind, seed, "styles"), k=2, name=lambda s: str(s["open"]))
    rules = [{"open": first["open"], "close": first["close"], "what": "terms", "terms": terms[:2]}]
    if terms[2:]:
        rules.append({"open": second["open"], "close": second["close"], "what": "terms", "terms": terms[2:]})
    changes = changes_of((t, r["open"] + t + r["close"]) for r in rules for t in r["terms"])
    listed = "; ".join(f"{quoted(r['terms'])}: {r['open']}…{r['close']}" for r in rules)
    marks = sorted({m for r in rules for m in (r["open"], r["close"])})
    request = request_for(kind, material, seed, listed=listed)
    return task(material, kind, request, text, replaced(text, changes), [*terms, *marks], changes=changes, marks=marks,
                mark_rules=rules)


def annotate(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Tags around every year, every run of digits, or every mention of listed names."""
    text = passage(material, kind, seed, without="<")
    years = [d for d in re.findall(r"\d+", text) if len(d) == 4 and "1500" <= d <= "2099"]
    listed = draw(clean_names(text, language_of(material)), *place(material, kind, seed, "names"), k=4)
    there = {"years": len(years) > 1, "numbers": bool(re.search(r"\d", text)), "terms": bool(listed)}
    what = [w for w in there if there[w]]
    if not what:
        raise Unfit("nothing to annotate: no year, number or name")
    chosen = one(what, *place(material, kind, seed, "what"))
    tag = {"years": "year", "numbers": "num", "terms": "name"}[chosen]
    rule = {"open": f"<{tag}>", "close": f"</{tag}>", "what": chosen, "terms": listed if chosen == "terms" else []}
    pattern = {"years": r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)", "numbers": r"\d+"}.get(chosen) or "|".join(
        rf"(?<!\w){re.escape(t)}(?!\w)" for t in sorted(listed, key=len, reverse=True))
    gold = re.sub(pattern, lambda m: f"<{tag}>{m[0]}</{tag}>", text)
    rules = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])
    said = rules[chosen].format(tag=tag, names=quoted(listed))
    marks = [rule["open"], rule["close"]]
    request = request_for(kind, material, seed, rule=said)
    return task(material, kind, request, text, gold, [tag, *(listed if chosen == "terms" else [])], marks=marks,
                mark_rules=[rule], rule=said)


def normalise_data(material: Material, kind: KindLike, seed: str) -> Instruction:
    """All full dates, clock times or grouped numbers in one form; what could be read in two ways is refused."""
    text = passage(material, kind, seed)
    doubtful = {
        "dates": r"\d{1,2}/\d{1,2}/\d{2,4}"
                 r"|\d{1,2}(?:st|nd|rd|th)?\s?(?:[–-]|to|and|bis|und)\s?\d{1,2}(?:st|nd|rd|th|\.)? [A-Z]",
        "times": r"\d\s?[ap]\.m\.(?:\s+[A-Z]|\s*$)|noon|midnight|\d\s?[–-]\s?\d{1,2}(?::\d\d)?\s?[ap]\.?m",
        "thousands": r"\d,\d{3}\.\d|\d,\d\d(?!\d)",
        "spelled_dates": r"\d{4}-\d\d-\d\d[T_]|[\w./-]\d{4}-\d\d-\d\d",
    }
    languages = {"dates": ("en", "de"), "times": ("en",), "thousands": ("en",), "spelled_dates": ("en", "de")}
    for rule in draw(sorted(NORMAL), *place(material, kind, seed, "rule"), k=len(NORMAL)):
        old_form = NORMAL[rule][0](text)
        if language_of(material) in languages[rule] and old_form and not re.search(doubtful[rule], text):
            gold = text
            for start, end, value in reversed(old_form):
                gold = gold[:start] + _normal(rule, value, language_of(material)) + gold[end:]
            said = kind.data["rules"].get(language_of(material), kind.data["rules"]["en"])[rule]
            need = {"times": ["HH:MM"], "thousands": ["1250000"]}.get(rule) or ["YYYY-MM-DD"]
            if language_of(material) == "de":
                need = ["JJJJ-MM-TT"]
            old = sorted({text[start:end] for start, end, _ in old_form})
            return task(material, kind, request_for(kind, material, seed, rule=said), text, gold, need, normal=rule,
                        rule=said, targets=old)
    raise Unfit("no full dates, times or grouped numbers that could be read in one way only")


def _normal(rule: str, value: Any, language: str) -> str:
    if rule == "dates":
        return str(value)
    if rule == "spelled_dates":
        return f"{value.day}{'.' if language == 'de' else ''} {MONTHS[language][value.month - 1]} {value.year}"
    number = int(str(value))
    return f"{number // 60:02d}:{number % 60:02d}" if rule == "times" else str(number)


def localise(material: Material, kind: KindLike, seed: str) -> Instruction:
    """Every measure of one unit becomes another, at the rate stated, to one decimal, halves away from zero."""
    text = passage(material, kind, seed)
    for unit in draw(kind.data["units"], *place(material, kind, seed, "unit"), k=20, name=lambda u: str(u["to"])):
        names_ = "|".join(sorted(map(re.escape, unit["from"]), key=len, reverse=True))
        found = re.compile(rf"(?<![\w.,$€£/-])(\d+(?:,\d{{3}})*(?:\.\d+)?) (?:{names_})(?![\w²³/-])")
        loose = re.findall(rf"\d[\s-]?(?:{names_})(?!\w)", text)
        new_already = re.search(rf"\d ?{re.escape(unit['to'])}(?!\w)", text)
        if not found.search(text) or len(loose) != len(found.findall(text)) or new_already:
            continue
        if re.search(rf"\d\s?(?:–|-|to|and|or|by)\s?\d[\d.,]* (?:{names_})", text):
            continue
        gold = text
        for m in reversed(list(found.finditer(text))):
            gold = f"{gold[: m.start()]}{_converted(m[1], unit)} {unit['to']}{gold[m.end() :]}"
        convert = {"from": list(unit["from"]), "to": unit["to"], "factor": unit["factor"], "offset": unit.get("offset", "0"),
                   "places": 1}
        request = request_for(kind, material, seed, unit=unit["from"][0], to=unit["to"], rate=unit["rate"])
        return task(material, kind, request, text, gold, [unit["to"], unit["rate"]], convert=convert, rate=unit["rate"],
                    targets=sorted({m[0] for m in found.finditer(text)}))
    raise Unfit("no measures in a unit of the list, or some that could be read in two ways")


def _converted(number: str, unit: Mapping[str, str]) -> str:
    value = Decimal(number.replace(",", "")) * Decimal(unit["factor"]) + Decimal(unit.get("offset", "0"))
    return str(value.quantize(Decimal("0.1"), ROUND_HALF_UP))


def obfuscate(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A contact note with invented private details is planted, then masked: one asterisk for each hidden sign."""
    text = passage(material, kind, seed, without=r"[*@]")
    drawn = place(material, kind, seed, "private")
    digits = str(int(fraction(*drawn) * 10**9)).zfill(9)
    who = one(clean_names(text, language_of(material)) or ["Office"], *drawn, "who").replace(" ", ".").lower()
    hosts = {w.lower() for w in words(text) if len(w) > 6 and w.isascii() and w.isalpha()}
    host = one(sorted(hosts or {"bureau"}), *drawn, "host")
    e_mail, phone = f"{who}@{host}.example", f"+44 20 7946 0{digits[:3]}"
    reference, shown = f"{host[:2].upper()}-{digits[3:9]}", one([2, 3, 4], *drawn, "shown")
    if not e_mail.isascii():
        raise Unfit("no name that could stand in an address")
    notes = kind.data.get(f"plants_{language_of(material)}") or kind.data["plants"]
    note = one(list(notes), *drawn, "note").format(email=e_mail, phone=phone, reference=reference)
    planted = f"{text}\n\n{note}"
    head, _, tail = e_mail.partition("@")
    gold = planted.replace(e_mail, head[0] + re.sub(r"[^.]", "*", head[1:]) + "@" + tail)
    for value in (phone, reference):
        gold = gold.replace(value, re.sub(rf"\w(?=(?:\W*\w){{{shown}}})", "*", value))
    numbered = [{"value": v, "what": "number", "shown": shown} for v in (phone, reference)]
    private = [{"value": e_mail, "what": "e-mail"}, *numbered]
    return task(material, kind, request_for(kind, material, seed, shown=shown), planted, gold, ["*", str(shown)],
                private=private, visible=shown)


def entail_contradict(material: Material, kind: KindLike, seed: str) -> Instruction:
    """One number is changed so that the text agrees with a claim, or can no longer be true where the claim is.

    Only exact statements serve: a bound, a permission, a guess or a year may hold beside another number.
    """
    text = passage(material, kind, seed)
    able = [(s, digits) for s in sentences(text) if (digits := _lone_number(s, text))]
    if not able:
        raise Unfit("no exact sentence with a number that stands nowhere else")
    sentence, old = one(able, *place(material, kind, seed, "sentence"), name=lambda a: str(a[0]))
    step = one([1, 2, 3, 4, 6, 7, 9], *place(material, kind, seed, "step"))
    new = str(int(old) + step)
    direction = one(["agree", "contradict"], *place(material, kind, seed, "direction"))
    other = re.sub(rf"(?<!\d){old}(?!\d)", new, sentence)
    statement = other if direction == "agree" else sentence
    said = kind.data["directions"].get(language_of(material), kind.data["directions"]["en"])[direction]
    request = request_for(kind, material, seed, direction=said.format(statement=statement, old=old, step=step))
    claim = {"statement": statement, "old": old, "new": new, "direction": direction}
    says = [statement] if direction == "agree" else [statement, old, str(step)]
    return task(material, kind, request, text, text.replace(sentence, other), says, claim=claim, step=step)


INEXACT = re.compile(
    r"\b(?:at least|at most|up to|no more than|no less than|not more than|not less than|more than|less than|fewer than|over"
    r"|under|above|below|about|around|some|roughly|nearly|almost|approximately|or so|or more|or less|between|within|may|might"
    r"|can|could|must|shall|should|allowed|permitted|maximum|minimum|limit|until|if|unless|would|never|not|estimated"
    r"|mindestens|höchstens|bis zu|mehr als|weniger als|etwa|rund|ungefähr|fast|knapp|über|unter|darf|dürfen|kann|können|muss"
    r"|müssen|soll|sollen|wenn|nicht|kein\w*)\b", re.I)
"""What keeps two sentences with different numbers from contradicting each other: bounds, permissions, guesses, conditions."""


def _lone_number(sentence: str, text: str) -> str:
    """A number of an exact sentence, where neither number nor sentence stands elsewhere in the text; else nothing."""
    plain = sentence[:1].isalpha() and sentence[-1:] in ".!?" and not re.search(r"[`|<>{}\\\n]", sentence)
    if not plain or INEXACT.search(sentence) or not 5 <= len(sentence.split()) < 50 or text.count(sentence) != 1:
        return ""
    for digits in re.findall(r"(?<![\w.,/:€$£–-])\d{1,4}(?![\w/:%–-]|[.,]\d)", sentence):
        dated = rf"(?:[A-Z][A-Za-z]*|[Nn]o\.) {digits}\b|{digits}\.? [A-Z]|{digits} (?:to|and|or|bis|und|oder) \d"
        year = 1000 <= int(digits) <= 2100
        if not year and not re.search(dated, sentence) and len(re.findall(rf"(?<!\d){digits}(?!\d)", text)) == 1:
            return str(digits)
    return ""


def insert_sentence(material: Material, kind: KindLike, seed: str) -> Instruction:
    """A sentence that opened or closed a paragraph is taken out and has to go back where the request says."""
    text = passage(material, kind, seed)
    pieces = text.split("\n\n")
    plain = [(i, s) for i, p in enumerate(pieces) if (s := plain_sentences(p)) and len(s) > 2]
    able = [(i, where, s) for i, s in plain for where in ("first", "last")]
    if not able:
        raise Unfit("no paragraph of three plain sentences")
    at, where, found = one(able, *place(material, kind, seed, "sentence"), name=lambda a: f"{a[0]} {a[1]}")
    sentence = " ".join((found[0] if where == "first" else found[-1]).split())
    if text.count(sentence) != 1:
        raise Unfit("the sentence is broken over lines or stands twice")
    left = pieces[at].replace(sentence, "").strip()
    given = "\n\n".join([*pieces[:at], left, *pieces[at + 1 :]])
    whole = f"{sentence} {left}" if where == "first" else f"{left} {sentence}"
    gold = "\n\n".join([*pieces[:at], whole, *pieces[at + 1 :]])
    said = kind.data["places"].get(language_of(material), kind.data["places"]["en"])[where].format(paragraph=at + 1)
    request = request_for(kind, material, seed, place=said, sentence=sentence)
    return task(material, kind, request, given, gold, [sentence, str(at + 1)],
                insert={"sentence": sentence, "paragraph": at + 1, "place": where}, place=said)
