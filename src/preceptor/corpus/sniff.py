"""What a file really is, by its first and last bytes rather than by its name, and how its bytes become text."""

import codecs
import re
from pathlib import Path

CODE = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".tsx": "typescript", ".java": "java", ".kt": "kotlin", ".scala": "scala", ".c": "c", ".h": "c",
    ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hpp": "c++", ".cs": "c#", ".go": "go", ".rs": "rust", ".rb": "ruby",
    ".php": "php", ".swift": "swift", ".r": "r", ".jl": "julia", ".lua": "lua", ".pl": "perl", ".sh": "shell",
    ".bash": "shell", ".ps1": "powershell", ".sql": "sql", ".hs": "haskell", ".ml": "ocaml", ".ex": "elixir",
    ".exs": "elixir", ".erl": "erlang", ".clj": "clojure", ".dart": "dart", ".zig": "zig", ".nim": "nim", ".f90": "fortran",
    ".vb": "basic", ".css": "css", ".toml": "toml",
}  # fmt: skip
FORMS = {
    ".md": "md", ".markdown": "md", ".mdx": "md", ".rst": "rst", ".txt": "txt", ".text": "txt", ".html": "html",
    ".htm": "html", ".xhtml": "html", ".pdf": "pdf", ".docx": "docx", ".csv": "csv", ".tsv": "csv", ".json": "json",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".yaml": "yaml", ".yml": "yaml", ".ipynb": "ipynb",
} | dict.fromkeys(CODE, "code")  # fmt: skip
RECORDS = frozenset({"jsonl", "parquet", "csv"})
MAGIC = (
    (b"%PDF-", "pdf"), (b"PAR1", "parquet"), (b"PK\x03\x04", "zip"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"RIFF", "sound or video"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"\x28\xb5\x2f\xfd", "a zstd archive"), (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "an SQLite database"), (b"\x00\x00\x00\x0cjP", "an image"), (b"ID3", "sound"), (b"OggS", "sound"),
    (b"II*\x00", "a TIFF image"), (b"MM\x00*", "a TIFF image"), (b"\x80\x04\x95", "a Python pickle"),
)  # fmt: skip


class Unreadable(Exception):
    """A file gives no documents; the text continues the sentence `FILE …` and says what to do."""


def form_of(path: Path, head: bytes, tail: bytes) -> tuple[str, str]:
    """The form to read `path` as, and a note where its name says another. Raises Unreadable for what is no text."""
    named = FORMS.get(path.suffix.lower(), "txt")
    found = next((form for magic, form in MAGIC if form and head.startswith(magic)), "")
    if found == "zip":
        found = zipped(path)
    if found == "ole":
        raise Unreadable(ole(head + tail))
    if found and found not in ("pdf", "parquet", "docx"):
        raise Unreadable(f"is {found}, not a document: take it out, or save its text as .txt, .md or .pdf")
    if not found:
        found = textual(head, named)
    if found == named or (found == "html" and path.suffix.lower() in (".xml", ".svg", ".php", ".vue")):
        return found, ""
    if path.suffix.lower() in FORMS:
        suffix = {"docx": ".docx", "parquet": ".parquet", "pdf": ".pdf", "html": ".html"}.get(found, ".txt")
        return (
            found,
            f"its name says {path.suffix}, its content is {found}, and was read as that: rename it to {path.stem}{suffix}",
        )
    return found, ""


def zipped(path: Path) -> str:
    """Which office format a zip file is. Raises Unreadable for the others."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            encrypted = any(info.flag_bits & 1 for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable("is cut off or damaged (its table of contents is missing): download or export it again") from error
    if encrypted:
        raise Unreadable("is encrypted: save a copy without password")
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        raise Unreadable("is a spreadsheet: save each sheet as .csv")
    if "ppt/presentation.xml" in names:
        raise Unreadable("is a slide deck: save it as .pdf")
    raise Unreadable("is a zip archive: unpack it beside, and name that folder")


def ole(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "is encrypted: open it with its password and save a copy without"
    return "is an Office file of before 2007: save it as .docx"


def textual(head: bytes, named: str) -> str:
    """`named`, or html where the text is a page. Raises Unreadable where the bytes are no text."""
    if named in ("pdf", "docx", "parquet"):
        if re.match(rb"\s*<(?:!doctype html|html)", head, re.I):
            return "html"
        if looks_binary(head):
            raise Unreadable(f"is not a {named} file, nor text: download or export it again")
        return "txt"
    if looks_binary(head):
        raise Unreadable("is binary: take it out, or save its text as .txt, .md or .pdf")
    if named in ("md", "txt", "rst", "csv", "json", "jsonl", "yaml") and re.match(
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html[\s>])", head, re.I
    ):
        return "html"
    return named


def looks_binary(head: bytes) -> bool:
    """Whether bytes are no text in any usual encoding (UTF-16 has its NULs in step)."""
    if head.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or utf16(head):
        return False
    controls = sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in head)
    return b"\0" in head or controls > 0.05 * max(1, len(head))


def utf16(head: bytes) -> str:
    """`utf-16-le`, `utf-16-be`, or nothing: told by the NULs that Western text has in every second byte."""
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    half = len(head[:2000]) // 2
    if half > 8 and odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if half > 8 and even > 0.7 * half and odd < 0.05 * half else ""


def decoded(data: bytes, declared: str = "") -> tuple[str, str]:
    """The text, and a note where it was not UTF-8."""
    for bom, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(bom):
            return data.decode(name, "replace"), "" if name == "utf-8-sig" else "was UTF-16, read as that"
    if name := utf16(data):
        return data.decode(name, "replace"), "was UTF-16 without a mark, read as that"
    try:
        return data.decode(), ""
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start].decode(), "ends in the middle of a character (cut off?): look at its end"
    if (mended := mostly_utf8(data)) is not None:
        return mended
    for name in (declared, guessed(data), "cp1252"):
        try:
            return data.decode(name), f"was not UTF-8, read as {name}: save it as UTF-8 if letters are wrong"
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", "replace"), "was not UTF-8, read as cp1252 with losses: save it as UTF-8"


def mostly_utf8(data: bytes) -> tuple[str, str] | None:
    """The text without its broken bytes, where most of what is not ASCII is good UTF-8; None otherwise."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    good = sum(len(run) for run in re.findall(r"[^\x00-\x7f\ufffd]+", text))
    if good < 4 * broken:
        return None
    return text.replace("\ufffd", ""), f"{broken} places are not UTF-8 and were left out: look for damaged letters"


def guessed(data: bytes) -> str:
    """The encoding that charset-normalizer finds among those that are told apart with some certainty, or nothing.

    Western, Baltic and Macintosh pages look alike to it; they fall to cp1252.
    """
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return ""
    told = [
        "cp1251",
        "koi8_r",
        "gb18030",
        "big5",
        "cp932",
        "shift_jis",
        "euc_jp",
        "euc_kr",
        "cp949",
        "cp1253",
        "cp1255",
        "cp1256",
    ]
    best = from_bytes(data[:20_000], cp_isolation=told).best()
    return best.encoding if best is not None and len(data) > 100 else ""
