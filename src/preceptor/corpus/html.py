"""A web page or an HTML book as Markdown: headings, paragraphs, lists, tables and code, without menus, banners and feet."""

import re
from typing import Any

MOST_NESTED = 400  # deeper is damage or an attack; Python's own stack ends at a thousand
BOOK = 60_000  # characters; above this, with headings, every paragraph counts and trafilatura's guesses cost chapters
DROPPED = {
    "script", "style", "noscript", "template", "nav", "footer", "aside", "form", "button", "input", "select", "textarea",
    "iframe", "object", "embed", "svg", "canvas", "video", "audio", "map", "head", "dialog", "menu",
}  # fmt: skip
BLOCKS = {
    "p", "div", "section", "article", "main", "header", "body", "html", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li",
    "dl", "dt", "dd", "pre", "table", "blockquote", "figure", "figcaption", "hr", "address", "details", "summary", "center",
    "fieldset",
}  # fmt: skip
FURNITURE = re.compile(
    r"(?i)(?:^|[\s_-])(?:cookies?|consent|gdpr|nav(?:bar|igation)?|menu|sidebar|breadcrumbs?|site-?footer|footer|share|social"
    r"|newsletter|subscribe|advert\w*|promo|skip(?:-?link)?|pagenum|related-?posts?|banner|popup|modal)(?:$|[\s_-])"
)
ROLES = frozenset({"navigation", "banner", "contentinfo", "dialog", "search", "alertdialog", "complementary", "menu"})


def html_text(source: str) -> tuple[str, str, str]:
    """The text as Markdown, the title, and the address of the licence that the page links to (empty for none)."""
    import lxml.html  # type: ignore[import-untyped, unused-ignore]

    source = re.sub(r"^\s*<\?xml[^>]*\?>", "", source)
    tree = lxml.html.document_fromstring(source, parser=lxml.html.HTMLParser(huge_tree=True))
    title = " ".join("".join(tree.xpath("//title[1]//text()")).split())
    links = tree.xpath("//*[@rel='license' or @rel='licence']/@href")
    body = tree.find("body")
    everything = marked(tree if body is None else body)
    if len(everything) > BOOK and len(re.findall(r"(?m)^#", everything)) > 2:
        return everything, title, next(iter(links), "")
    for core in tree.xpath("//main | //article | //*[@role='main']"):
        text = marked(core)
        if len(text) > 0.5 * len(everything):
            return text, title, next(iter(links), "")
    return crawled(source, everything), title, next(iter(links), "")


def crawled(source: str, everything: str) -> str:
    """What trafilatura takes for the page's own text; all of it where that is next to nothing."""
    import trafilatura

    text = trafilatura.extract(
        source, output_format="markdown", include_tables=True, include_comments=False, include_images=False, favor_recall=True
    )
    return text if text and len(text) > min(200, 0.3 * len(everything)) else everything


def marked(element: Any) -> str:
    """The element's content as Markdown blocks with empty lines between."""
    blocks: list[str] = []
    write_blocks(element, blocks, 0)
    return "\n\n".join(block for block in (b.strip("\n") for b in blocks) if block.strip())


def write_blocks(element: Any, blocks: list[str], depth: int) -> None:
    """Append what `element` holds to `blocks`, one string a block."""
    if unwanted(element) or depth > MOST_NESTED:
        return
    tag = element.tag
    if re.fullmatch(r"h[1-6]", tag):
        blocks.append("#" * int(tag[1]) + " " + " ".join(flowing(element).split()))
    elif tag == "pre":
        text = "".join(element.itertext())
        blocks.append(fenced(text) if element.find(".//code") is not None else text.strip("\n"))
    elif tag == "table":
        blocks.append(table(element))
    elif tag in ("ul", "ol"):
        blocks.append(listed(element, depth))
    elif tag == "blockquote":
        blocks.append("\n".join("> " + line if line else ">" for line in marked_inside(element, depth).split("\n")))
    elif any(child.tag in BLOCKS for child in element if isinstance(child.tag, str)):
        blocks.append(marked_inside(element, depth))
    elif tag != "hr":
        blocks.append(lines_of(flowing(element)))


def marked_inside(element: Any, depth: int) -> str:
    """The children of a block that holds blocks; loose text between them becomes paragraphs."""
    blocks: list[str] = []
    loose = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag in BLOCKS:
            blocks.append(lines_of("".join(loose)))
            loose = []
            write_blocks(child, blocks, depth + 1)
        elif isinstance(child.tag, str) and not unwanted(child):
            loose.append(flowing(child, outer=True))
        loose.append(child.tail or "")
    blocks.append(lines_of("".join(loose)))
    return "\n\n".join(block for block in blocks if block.strip())


def unwanted(element: Any) -> bool:
    """Comments, scripts, menus, banners, feet, and what the page itself hides."""
    if not isinstance(element.tag, str) or element.tag in DROPPED:
        return True
    if element.tag in ("body", "html", "main", "article"):
        return False
    role, style = element.get("role", ""), element.get("style", "").replace(" ", "")
    if role in ROLES or element.get("hidden") is not None or element.get("aria-hidden") == "true" or "display:none" in style:
        return True
    names = element.get("class", "") + " " + element.get("id", "")
    return bool(FURNITURE.search(names)) and len(element.xpath(".//p")) < 8


def flowing(element: Any, outer: bool = False, depth: int = 0) -> str:
    """Running text of an inline element; `\\v` stands for a line break that the page asks for."""
    if depth > MOST_NESTED:
        return ""
    parts = [element.text or ""]
    for child in element:
        if not unwanted(child):
            parts.append(flowing(child, True, depth + 1))
        parts.append(child.tail or "")
    text = "".join(parts)
    tag = element.tag if outer else ""
    if tag == "br":
        return "\v"
    if tag in ("sup", "sub"):
        note = element.find(".//a") is not None or re.fullmatch(r"\s*\[?\w{1,3}\]\s*", text)
        return "" if note else ("^" if tag == "sup" else "_") + (text if len(text) < 2 else f"({text})")
    return f"`{text}`" if tag in ("code", "kbd", "samp", "tt") and text.strip() else text


def lines_of(text: str) -> str:
    """Blanks folded as a browser does; asked-for line breaks kept."""
    return "\n".join(" ".join(line.split()) for line in text.split("\v")).strip()


def fenced(text: str) -> str:
    return "```\n" + text.strip("\n") + "\n```"


def listed(element: Any, depth: int) -> str:
    """A list as Markdown; what is in it keeps under its own mark."""
    rows: list[str] = []
    for number, item in enumerate((child for child in element if child.tag == "li"), 1):
        text = marked_inside(item, depth + 1)
        mark = f"{number}. " if element.tag == "ol" else "- "
        rows.append(mark + re.sub(r"\n+", "\n" + " " * len(mark), text))
    return "\n".join(rows)


def table(element: Any) -> str:
    """A table in pipes; one of a single column or row is layout, and becomes paragraphs."""
    rows = [
        [" ".join(flowing(cell).replace("\v", " ").split()).replace("|", "\\|") for cell in row.xpath("./td|./th")]
        for row in element.xpath(".//tr")
    ]
    rows = [row for row in rows if any(row)]
    widest = max((len(row) for row in rows), default=0)
    if widest < 2 or len(rows) < 2:
        return "\n\n".join(cell for row in rows for cell in row if cell)
    rows = [row + [""] * (widest - len(row)) for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * widest, *lines[1:]])
