"""What no reader should learn from: page heads, broken words, encoding damage, control and chat-template characters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

# Tokens that chat templates give a meaning. In a document they are data, but a model may obey them, and a student
# trained on them certainly will.
CHAT_TOKENS = re.compile(
    r"<\|[A-Za-z][\w ]{0,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[/?INST\]|<</?SYS>>|</?s>(?=\s|$|\[)|<(?:start|end)_of_turn>"
    r"|<(?:bos|eos|pad|unk)>|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)
# Kept: line end, tab, the joiners U+200C and U+200D (Hindi, Persian and emoji need them). Gone: other controls, zero
# width and direction marks (text that shows one thing and says another), tag characters, private use, lone surrogates.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffc"
    "\ue000-\uf8ff\U000e0000-\U000e007f\ud800-\udfff\ufffe\uffff]"
)
LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"})
# UTF-8 read as Windows-1252: a lead byte's letter and then what the following bytes became.
AS_1252 = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xC0))
MOJIBAKE = re.compile(f"[Â-ß][{re.escape(AS_1252)}]|[à-ï][{re.escape(AS_1252)}]{{2}}|ð[{re.escape(AS_1252)}]{{3}}")
CONSENT = re.compile(
    r"(?i)\b(?:we (?:and our \w+ )?use cookies|this (?:web)?site uses cookies|accept (?:all )?cookies"
    r"|cookie (?:policy|settings)|reject (?:all|non-essential)|manage (?:your )?(?:consent|preferences)"
    r"|wir verwenden cookies|alle akzeptieren)\b"
)
PAGE_NUMBER = re.compile(r"\W*(?:(?:page|seite|पृष्ठ)\s*)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von)\s*\d{1,4})?\W*", re.I)
GUTENBERG_START = re.compile(r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n*]*\**", re.I)
GUTENBERG_END = re.compile(
    r"(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|\bEnd of (?:the |this )?Project Gutenberg).*", re.S | re.I
)
PRODUCTION_NOTE = re.compile(
    r"(?is)^[#\s]*(?:produced by|transcribed (?:from|by)|transcriber.s note|e-?text prepared by|scanned by"
    r"|www\.gutenberg\.org|this pdf file is optimized|the camera-quality files|minor typographical corrections"
    r"|this ebook was produced)"
)
TABLE_OF_CONTENTS = re.compile(r"(?m)^.*(?:\. ?){6,}\s*\d*.*$\n?")


def clean(text: str, *, code: bool = False) -> str:
    """`text` in one form: NFC, `\\n`, no trailing blanks, no control or chat-template characters, damage repaired.

    Code keeps its indentation and its empty lines. Cleaning clean text changes nothing: it is done until nothing
    changes, because what is removed may have stood inside another thing to remove.
    """
    while (cleaner := cleaned_once(text, code)) != text:
        text = cleaner
    return text


def cleaned_once(text: str, code: bool) -> str:
    """One pass of `clean`; every pass that changes something shortens the text or brings it nearer to one form."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    text = text.replace("\u2028", "\n").replace("\u2029", "\n\n")
    text = INVISIBLE.sub("", repaired(text).replace("\xad", ""))
    text = CHAT_TOKENS.sub("", unicodedata.normalize("NFC", text.translate(LIGATURES)))
    if not code:
        text = re.sub(r"[\xa0\u2000-\u200a\u202f\u205f\u3000]", " ", text)
    text = re.sub(r"[^\S\n]+$", "", text, flags=re.M)
    text = re.sub(r"\n{4,}", "\n\n\n", text) if code else re.sub(r"\n{3,}", "\n\n", text)
    return text.strip("\n").rstrip() if code else text.strip()


def repaired(text: str) -> str:
    """`text` with UTF-8 that somebody read as Windows-1252 (`Ã¼`, `â€™`) read aright, wherever that is certain."""
    if not MOJIBAKE.search(text):
        return text

    def aright(match: re.Match[str]) -> str:
        data = b"".join(c.encode("cp1252") if c.encode("cp1252", "ignore") else bytes([ord(c) & 255]) for c in match[0])
        try:
            return data.decode()
        except UnicodeDecodeError:
            return match[0]

    return MOJIBAKE.sub(aright, text)


def without_gutenberg(text: str) -> str:
    """The book alone, where `text` is a Project Gutenberg file: without its notices and its makers' notes."""
    start, end = GUTENBERG_START.search(text), GUTENBERG_END.search(text)
    if not start and not end:
        return text
    text = text[start.end() if start else 0 : end.start() if end else len(text)]
    head, body = text[:6000], text[6000:]
    head = "\n\n".join(part for part in head.split("\n\n") if not PRODUCTION_NOTE.match(part))
    return TABLE_OF_CONTENTS.sub("", head + body)


def without_consent(text: str) -> str:
    """`text` without short paragraphs that ask for consent to cookies."""
    blocks = text.split("\n\n")
    return "\n\n".join(block for block in blocks if len(block) > 300 or not CONSENT.search(block))


def without_page_furniture(pages: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Each line, or None where it is a page's number, or a head or foot that comes back on other pages."""
    edges = Counter(key for page in pages for key in {furniture(page[at]) for at in edge(page)})
    often = max(2, len(pages) / 2) if len(pages) < 8 else max(3, len(pages) * 0.3)
    numbered = Counter(
        key for page in pages for key in {furniture(page[at]) for at in edge(page) if re.search(r"\d", page[at])}
    )

    def gone(page: Sequence[str], at: int) -> bool:
        if at not in edge(page):
            return False
        key = furniture(page[at])
        if PAGE_NUMBER.fullmatch(page[at].strip()):
            return True
        return len(page[at]) < 100 and (edges[key] >= often or (numbered[key] >= 2 and len(pages) > 3))

    return [[None if gone(page, at) else line for at, line in enumerate(page)] for page in pages]


def edge(page: Sequence[str]) -> set[int]:
    """Where heads and feet may stand: the first two and the last two lines."""
    return {at for at in (0, 1, len(page) - 2, len(page) - 1) if 0 <= at < len(page)}


def furniture(line: str) -> str:
    """`line` with every number the same, so that the heads of two pages are equal."""
    return re.sub(r"\d+", "#", line.strip().lower())


def first_line(text: str, most: int = 120) -> str:
    """The first line that says something, without marks of headings, shortened at a word."""
    line = next((bare for raw in text.splitlines() if re.search(r"\w", bare := raw.strip().strip("#*=_- "))), "")
    return line if len(line) <= most else line[:most].rsplit(" ", 1)[0] + " …"
