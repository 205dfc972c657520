"""Lines that an editor broke at a width become paragraphs again; lines that an author broke stay.

A quotation that a row copies must not be cut in two by the width of somebody's window.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean

OPENS = re.compile(r"\s*(?:[-*+•·–]|\(?\d{1,3}[.)]|\(?[a-z][.)]|\[\d+\]|\[[^\]\n]{1,60}\]:)\s+\S")
"""A line that begins an item of a list, a footnote or a reference."""
ALONE = re.compile(r"\s*(?:#{1,6}\s|\||>|(?:```|~~~)|(?:[-*_=~+:]\s*){3,}$)| {4,}\S|\t")
"""A line that is never joined to another: headings, tables, quotations, fences, rules, indented code."""
SPEAKER = re.compile(r"(?:\*\*)?(?:\[[\d:]+\]\s*)?[^\W\d][\w.’'\- ]{0,28}(?: \([^)]{1,30}\))?(?:\*\*)?\s?:")
NARROW, WIDE = 45, 160  # characters: what a width can be
FLOWING = 55  # mean characters of the lines of a paragraph; verse and addresses have less


def joined_lines(lines: Sequence[str], known: frozenset[str] = frozenset()) -> str:
    """Lines of one paragraph as one line; a word broken at a line's end becomes whole.

    A soft hyphen always joins. A plain one does between small letters, unless `known` (words of the same text)
    has the hyphenated form.
    """
    out = ""
    for line in lines:
        line = line.strip()
        if not out:
            out = line
        elif out.endswith("\xad"):
            out = out[:-1] + line
        elif (broken := re.search(r"(\w+)-$", out)) and (rest := re.match(r"[a-zäöüßàâçéèêíñóôúû]+", line)):
            whole = f"{broken[1]}-{rest[0]}".lower()
            keep = whole in known or not re.search(r"[a-zß-ÿ]-$", out)
            out = out + line if keep else out[:-1] + line
        else:
            out += " " + line
    return out


def unwrapped(text: str, form: str = "txt") -> str:
    """`text` with every wrapped paragraph and list item on one line, words broken at line ends made whole.

    form: "txt", "md" (a line end inside a paragraph means a blank there anyway) or "dialogue" (a line that begins
    with a speaker begins a turn). In "txt" lines are joined only where one width explains the paragraphs of the text.
    """
    blocks = list(blocks_of(text.split("\n"), form == "dialogue"))
    known = frozenset(word.lower() for word in re.findall(r"\w+-\w+", text))
    width = common_width([block for block in blocks if len(block) > 1 and not ALONE.match(block[0])])
    out = [line for block in blocks for line in (joined(block, known) if wrapped(block, width, form) else block)]
    return "\n".join(out)


def blocks_of(lines: Sequence[str], spoken: bool) -> Iterator[list[str]]:
    """Lines that may be one paragraph, in order; what stands alone is a block of one line."""
    block: list[str] = []
    fenced = False
    for line in lines:
        fence = re.match(r" {0,3}(?:```|~~~)", line)
        alone = fenced or fence or not line.strip() or (ALONE.match(line) and not continues(block, line))
        if block and (alone or OPENS.match(line) or (spoken and SPEAKER.match(line))):
            yield block
            block = []
        if alone:
            yield [line]
        else:
            block.append(line)
        fenced ^= bool(fence)
    if block:
        yield block


def continues(block: Sequence[str], line: str) -> bool:
    """Whether an indented line goes on with the list item above it."""
    return bool(block and OPENS.match(block[0]) and re.match(r"\s+[^\s|>#]", line))


def span_of(block: Sequence[str]) -> tuple[int, int]:
    """(least, most): the widths at which filling line by line gives just these lines; none where least > most."""
    lengths = [len(line) for line in block]
    room = [len(line) + len(after.split()[0]) for line, after in pairwise(block)]
    return max(lengths), min(room)


def common_width(blocks: Sequence[Sequence[str]]) -> int:
    """The width that explains most paragraphs of three lines or more; 0 where none explains two thirds of them."""
    spans = [span_of(block) for block in blocks if len(block) > 2]
    votes = Counter(width for least, most in spans for width in range(max(least, NARROW), min(most, WIDE) + 1))
    if not votes:
        return 0
    width, explained = max(votes.items(), key=lambda vote: (vote[1], vote[0]))
    return width if explained >= 2 * len(spans) / 3 else 0


def wrapped(block: Sequence[str], width: int, form: str) -> bool:
    if len(block) < 2:
        return False
    least, most = span_of(block)
    typical = mean(len(line) for line in block[:-1])
    if width and (least <= width <= most or (len(block) > 2 and typical >= 0.8 * width)):
        return True
    return typical >= FLOWING if form == "md" else broken(block)


def broken(block: Sequence[str]) -> bool:
    """Whether a word goes on in the next line, which nobody does who breaks lines by hand."""
    return any(re.search(r"[a-zß-ÿ]-$", line) and re.match(r" *[a-zß-ÿ]", after) for line, after in pairwise(block))


def joined(block: Sequence[str], known: frozenset[str]) -> list[str]:
    indent = re.match(r"\s*", block[0])
    return [(indent[0] if indent else "") + joined_lines(block, known)]
