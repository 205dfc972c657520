"""What a document is: its kind, its language, its domain and its licence, told by small rules that can be read."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources

from preceptor.errors import MissingExtra

SURE = 0.8  # the identifier's own probability; under it, the file's language or `und`
LEAST_LETTERS = 24  # fewer say nothing about a language
SCRIPTS = (("hi", "ऀ-ॿ"), ("el", "Ͱ-Ͽ"), ("he", "֐-׿"), ("th", "฀-๿"), ("ko", "가-힯"), ("ta", "஀-௿"), ("bn", "ঀ-৿"))
WORD = re.compile(r"[\w\u0900-\u0dff]+")  # Indian vowel signs are not in \w, and would cut words
DOMAIN_LEAST = 4.0  # weighted hits in a thousand words
SPEAKER = re.compile(
    r"^\s*(?:\*\*)?(?:\[[\d:]+\]\s*)?([^\W\d][\w.’'\- ]{0,28}?(?: \([^)]{1,30}\))?)(?:\*\*)?\s?:(?:\*\*)?\s+\S"
)
LICENCES: tuple[tuple[str, str], ...] = (
    (r"SPDX-License-Identifier:\s*([\w.+\-]+(?: (?:OR|AND|WITH) [\w.+\-]+)*)", r"\1"),
    (r"creativecommons\.org/publicdomain/zero|\bCC0\b[ -]1\.0|Creative Commons (?:Zero|CC0)", "CC0-1.0"),
    (r"creativecommons\.org/licenses/(by(?:-nc)?(?:-nd|-sa)?)/(\d\.\d)", r"CC-\1-\2"),
    (r"\bCC[ -](BY(?:-NC)?(?:-ND|-SA)?)[ -](\d\.\d)", r"CC-\1-\2"),
    (r"Creative Commons Attribution[- ]ShareAlike (\d\.\d)", r"CC-BY-SA-\1"),
    (r"Creative Commons Attribution (\d\.\d)", r"CC-BY-\1"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Licensed under the Apache License, Version 2\.0|apache\.org/licenses/LICENSE-2\.0", "Apache-2.0"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"Mozilla Public License,? (?:Version |v\. ?)2\.0", "MPL-2.0"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0-or-later"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE", "LGPL-3.0-or-later"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0-only"),
    (r"GNU General Public License", "GPL-3.0-or-later"),
    (r"Redistribution and use in source and binary forms[\s\S]{0,900}neither the name", "BSD-3-Clause"),
    (r"Redistribution and use in source and binary forms", "BSD-2-Clause"),
    (r"Permission to use, copy, modify, and(?:/or)? distribute this software for any\s+purpose with or without fee", "ISC"),
    (r"This is free and unencumbered software released into the public domain", "Unlicense"),
    (r"(?:licensed|released|available) under (?:the )?(?:terms of the )?(MIT|ISC|Unlicense)\b", r"\1"),
    (r"\bPROJECT GUTENBERG\b[\s\S]{0,200}\bE-?BOOK\b", "public-domain-US"),
    (r"(?:(?:this|the) (?:document|work|text|file|book|material|page|site)|is|has been|hereby)\s+(?:\w+\s+){0,3}"
     r"(?:placed|released|dedicated|put|given)?\s*(?:in|into|to) the public\s+domain", "public-domain"),
)  # fmt: skip
LICENCE_FILES = re.compile(r"(?i)^(?:un)?licen[cs]e(?:[.-][\w.-]+)?$|^copying(?:\.\w+)?$")


def licence_of(text: str) -> str:
    """The licence that a text states for itself, as an SPDX name where there is one; empty where it states none.

    Only its beginning and its end are looked at: in the middle, other works' licences are talked about.
    """
    ends = text if len(text) < 9000 else text[:6000] + "\n" + text[-3000:]
    for pattern, name in LICENCES:
        if match := re.search(pattern, ends, re.I):
            found = match.expand(name)
            return re.sub(r"(?i)^cc-.*", lambda m: m[0].upper(), found)
    return ""


def named_licence(value: str) -> str:
    """A licence as a field gives it (`license: MIT`, `Apache 2.0`, an address) as an SPDX name, or as it stands."""
    value = " ".join(value.split())[:80]
    plain = re.sub(r"[^a-z0-9.]", "", value.lower())
    known = {
        "mit": "MIT", "mitlicense": "MIT", "apache2.0": "Apache-2.0", "apache2": "Apache-2.0", "apachelicense2.0": "Apache-2.0",
        "apachelicenseversion2.0": "Apache-2.0", "cc0": "CC0-1.0", "cc01.0": "CC0-1.0", "publicdomain": "public-domain",
        "ccby4.0": "CC-BY-4.0", "ccbysa4.0": "CC-BY-SA-4.0", "bsd3clause": "BSD-3-Clause", "gplv3": "GPL-3.0-only",
    }  # fmt: skip
    return known.get(plain) or (licence_of(value) if "/" in value else "") or value


def language_of(text: str, otherwise: str = "und", sure: float = SURE) -> str:
    """ISO 639-1 of the text; `otherwise` where nothing can be told. Raises MissingExtra without py3langid."""
    sample = re.sub(r"```[\s\S]*?```|`[^`\n]*`|https?://\S+|[\w.]+@[\w.]+|<[^<>\n]*>", " ", text[:3000])
    sample = sample.replace("_", " ")
    letters = re.sub(r"[^\w\s]|\d", "", sample)
    if len(letters.strip()) < LEAST_LETTERS:
        return otherwise
    if (script := script_of(letters)) not in ("", "hi"):
        return script
    # Names and acronyms in capitals mislead the identifier; sentences rarely are in capitals.
    language, probability = identifier()(sample.lower() if sample.isupper() else sample)
    if script == "hi":
        return language if language in ("hi", "mr", "ne") else "hi"
    return language if probability >= sure else otherwise


def script_of(letters: str) -> str:
    """The language that most letters' script stands for, where it stands for one."""
    count = len(re.sub(r"\s", "", letters)) or 1
    return next((name for name, script in SCRIPTS if len(re.findall(f"[{script}]", letters)) > 0.5 * count), "")


@cache
def identifier() -> Callable[[str], tuple[str, float]]:
    """py3langid's classifier with probabilities. Its model is loaded once and takes about half a second."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtra(
            'to tell languages apart, py3langid is needed: type  pip install "preceptor[lang]"  '
            'or give the language: language = "en"'
        ) from error
    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def classify(text: str) -> tuple[str, float]:
        language, probability = found.classify(text)
        return str(language), float(probability)

    return classify


def words_of_code(text: str, language: str) -> str:
    """Comments and docstrings: what people wrote for people."""
    if language in ("python", "shell", "ruby", "r", "perl", "julia", "elixir", "nim", "toml", "powershell"):
        line, block = r"(?m)#+(?!!)\s?(.*)$", r'(?:"""|\'\'\')([\s\S]*?)(?:"""|\'\'\')'
    elif language in ("sql", "haskell", "lua"):
        line, block = r"(?m)--+\s?(.*)$", r"/\*([\s\S]*?)\*/"
    else:
        line, block = r"(?m)//+\s?(.*)$", r"/\*([\s\S]*?)\*/"
    found = [*re.findall(block, text), *re.findall(line, text)]
    prose = (row for part in found for row in part.splitlines() if not row.lstrip().startswith((">>>", "...")))
    return "\n".join(row for row in prose if len(re.findall(r"[^\W\d_]{2,}", row)) > 2)


@cache
def domains() -> Mapping[str, tuple[str, ...]]:
    """For each domain its words, stems and phrases."""
    table = tomllib.loads(resources.files(__package__).joinpath("domains.toml").read_text("utf-8"))
    return {name: tuple(entry["words"]) for name, entry in table.items()}


@cache
def phrases() -> tuple[re.Pattern[str], Mapping[str, str]]:
    """The entries of more than one word as a pattern, and the domain of each."""
    owner = {entry: name for name, entries in domains().items() for entry in entries if " " in entry}
    return re.compile("|".join(rf"(?<!\w){re.escape(phrase)}\b" for phrase in owner)), owner


@lru_cache(maxsize=100_000)
def spoken_for(word: str) -> tuple[tuple[str, str], ...]:
    """(domain, stem) for each entry that `word` begins with; short Latin entries must be the word, or its plural."""

    def fits(stem: str) -> bool:
        return word.startswith(stem) and (len(stem) > 4 or not stem.isascii() or word in (stem, stem + "s", stem + "es"))

    return tuple((name, stem) for name, entries in domains().items() for stem in entries if fits(stem))


def domains_of(parts: Sequence[str], otherwise: str = "general") -> list[str]:
    """A domain for each part of one text: the text's own, unless a part speaks clearly of something else."""
    scores = [domain_scores(part) for part in parts]
    whole = {name: sum(score[name] for score in scores) / max(1, len(scores)) for name in domains()}
    top = max(whole, key=lambda name: (whole[name], name))
    whole_domain = top if whole[top] >= DOMAIN_LEAST else otherwise

    def own(score: Mapping[str, float]) -> str:
        best = max(score, key=lambda name: (score[name], name))
        clear = 1.0 if whole_domain not in score else 2.0
        return (
            best if score[best] >= clear * DOMAIN_LEAST and score[best] > clear * score.get(whole_domain, 0) else whole_domain
        )

    return [own(score) for score in scores]


def domain_scores(text: str) -> dict[str, float]:
    """For each domain its words in a thousand.

    A word counts at most four times and repeated hits weigh less, so that one name does not make a domain; a domain
    with fewer than three different words in the text counts nothing.
    """
    text = text.lower()
    words = Counter(WORD.findall(text))
    hits: dict[str, Counter[str]] = {name: Counter() for name in domains()}
    for word, count in words.items():
        for name, stem in spoken_for(word):
            hits[name][stem] += count
    pattern, owner = phrases()
    for phrase in pattern.findall(text):
        hits[owner[phrase]][phrase] += 1
    length = max(120, words.total())

    def share(counts: Counter[str]) -> float:
        return sum(min(count, 4) ** 0.7 for count in counts.values()) * 1000 / length if len(counts) > 2 else 0.0

    return {name: share(counts) for name, counts in hits.items()}


def kind_of(text: str) -> str:
    """prose, dialogue, table or verse, by the shape of the lines; code and APIs are known by their files."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 4:
        return "prose"
    if sum(line.lstrip().startswith("|") for line in lines) > 0.6 * len(lines):
        return "table"
    if is_dialogue(text):
        return "dialogue"
    return "verse" if is_verse(text, lines) else "prose"


def is_dialogue(text: str) -> bool:
    """Whether most turns begin with the name of one of a few speakers, each of whom speaks more than once."""
    spoken = [match[1].strip().lower() for line in text.splitlines() if (match := SPEAKER.match(line))]
    again = sum(count for count in Counter(spoken).values() if count > 1)
    turns = len([part for part in re.split(r"\n\s*\n", text) if part.strip()])
    speakers = sum(count > 1 for count in Counter(spoken).values())
    return speakers >= 2 and again >= 4 and again >= 0.6 * min(turns, len(text.splitlines()))


def is_verse(text: str, lines: list[str]) -> bool:
    """Whether lines end where the poet ends them: short, uneven, mostly capital first, in stanzas."""
    bare = [line.strip() for line in lines]
    if len(bare) < 8 or any(re.match(r"(?:[-*+•>]|\d+[.)])\s|```", line) or re.search(r"\S {3,}\S", line) for line in bare):
        return False
    mean = sum(map(len, bare)) / len(bare)
    capital = sum(line.lstrip("\"'“‘—(")[:1].isupper() for line in bare) / len(bare)
    caseless = not re.search(r"[A-Za-z]", text)
    stanza = len(bare) / max(1, len(re.split(r"\n\s*\n", text.strip())))
    return 8 < mean < 55 and max(map(len, bare)) < 90 and (capital > 0.75 or caseless) and stanza >= 2.5
