"""Reading: every form, every kind of broken file, duplicates, and the same documents whatever the file system says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from preceptor.corpus import Corpus, FileLine, Known, Size, read, stream
from preceptor.corpus.child import Parsers
from preceptor.corpus.find import unreachable
from preceptor.corpus.parse import Wish
from preceptor.corpus.sniff import Unreadable
from preceptor.errors import DocumentError
from preceptor.types import Document

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "documents"
SEEDS = ROOT.parent / "shared" / "seeds"
PROSE = "The harbour at Lamu wakes before the muezzin does, because the fish do not wait, nor do the buyers from the mainland. "


@pytest.fixture(scope="module")
def examples() -> Corpus:
    return read(EXAMPLES)


def only(corpus: Corpus, name: str) -> Document:
    found = [document for document in corpus.documents if document.source == name]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("name", "kind", "language", "domain"),
    [
        ("the_case_against_the_shortest_route.md", "prose", "en", "transport"),
        ("the_lamp_at_skaldavik.md", "prose", "en", "literature"),
        ("allotment_committee_meeting.txt", "dialogue", "en", "general"),
        ("reservoir_levels_2023.csv", "table", "en", "general"),
        ("tide_clock.py", "code", "en", "software"),
        ("tool_library_openapi.yaml", "api", "en", "software"),
        ("the_clock_on_the_mountain.pdf", "prose", "en", "science"),
        ("quayside_lofts_lease.docx", "prose", "en", "law"),
        ("bakery_sourdough_page.html", "prose", "en", "cooking"),
        ("altitude_sickness_clinic_notes.md", "prose", "en", "medicine"),
        ("ferry_cooperative_annual_letter.md", "prose", "en", "finance"),
        ("das_archiv_unter_dem_rathaus.md", "prose", "de", "history"),
        ("bawdi_ka_pani.md", "prose", "hi", "public_administration"),
    ],
)
def test_each_example_is_told_for_what_it_is(examples: Corpus, name: str, kind: str, language: str, domain: str) -> None:
    document = only(examples, name)
    assert (document.kind, document.language, document.domain) == (kind, language, domain)
    assert document.licence == "Apache-2.0"
    assert document.span == (0, len(document.text))
    assert document.title


@pytest.mark.parametrize(
    ("name", "holds", "lacks"),
    [
        ("the_clock_on_the_mountain.pdf", ["# The Clock on the Mountain", "\n\nT = 2π √(L / g)\n\n", "the effect. Newton"],
         ["ESSAYS ON INSTRUMENTS", "\n2\n"]),
        ("quayside_lofts_lease.docx", ["## 3. Animals", "| Lost key to the street door | £38.50 | on replacement |"], ["\\"]),
        ("bakery_sourdough_page.html", ["## The jar", "| Ground sour | 17 | 23 °C |", "- A crack along the foot"],
         ["cookie", "Cookie", "Basket", "newsletter", "Terms", "Back to top"]),
        ("tool_library_openapi.yaml", ["## POST /loans (borrowTool)", "- collectFrom (one of main_shed, "], ["$ref"]),
        ("altitude_sickness_clinic_notes.md", ["# Altitude sickness"], ["license:", "---\ntitle"]),
        ("reservoir_levels_2023.csv", ["| Jocelyn Mere | Southdown | 1983 | 17.9 | 68 |  | 43100 |"], []),
    ],
)  # fmt: skip
def test_what_a_reader_wants_is_there_and_the_rest_is_not(
    examples: Corpus, name: str, holds: list[str], lacks: list[str]
) -> None:
    text = only(examples, name).text
    assert [part for part in holds if part not in text] == []
    assert [part for part in lacks if part in text] == []


def zip_with(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "<x/>")


def encrypted_pdf(path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(EXAMPLES / "the_clock_on_the_mountain.pdf"))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)


def blank_pdf(path: Path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    writer.write(path)


def half(source: str, target: Path) -> None:
    data = (EXAMPLES / source).read_bytes()
    target.write_bytes(data[: len(data) // 2])


def parquet(path: Path, rows: list[dict[str, object]], cut: int = 0) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra 'parquet'")
    import pyarrow.parquet as pq

    pq.write_table(arrow.Table.from_pylist(rows), path)
    if cut:
        path.write_bytes(path.read_bytes()[:-cut])


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.txt": (lambda p: p.write_bytes(b""), "is empty"),
    "blank.md": (lambda p: p.write_text(" \n\n "), "nothing but blanks"),
    "short.md": (lambda p: p.write_text("# Hello"), "only 7 characters"),
    "noise.txt": (lambda p: p.write_bytes(bytes(range(256)) * 8), "is binary"),
    "image.md": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99), "PNG image"),
    "locked.pdf": (encrypted_pdf, "encrypted"),
    "scanned.pdf": (blank_pdf, "OCR"),
    "half.pdf": (lambda p: half("the_clock_on_the_mountain.pdf", p), "cut off"),
    "half.docx": (lambda p: half("quayside_lofts_lease.docx", p), "cut off"),
    "ended.pdf": (lambda p: p.write_bytes(b"%PDF-1.4\n garbage \n%%EOF"), "damaged"),
    "locked.docx": (lambda p: p.write_bytes(OLE + "EncryptedPackage".encode("utf-16-le")), "encrypted"),
    "old.doc": (lambda p: p.write_bytes(OLE + b"\0" * 600), "save it as .docx"),
    "sheet.docx": (lambda p: zip_with(p, "xl/workbook.xml"), "spreadsheet"),
    "archive.txt": (lambda p: zip_with(p, "a.txt"), "unpack"),
    "half.json": (lambda p: p.write_text('{"text": "' + PROSE), "cut off"),
    "lines.json": (lambda p: p.write_text('{"text": "a"}\n{"text": "b"}\n'), ".jsonl"),
    "nameless.jsonl": (lambda p: p.write_text(json.dumps({"foo": PROSE, "bar": 1}) + "\n"), "foo, bar"),
    "broken.jsonl": (lambda p: p.write_text("{{{\n"), "line 1"),
    "half.parquet": (lambda p: parquet(p, [{"text": PROSE}], cut=5), "cut off"),
    "nameless.parquet": (lambda p: parquet(p, [{"foo": PROSE}]), "text_column"),
    "bad.yaml": (lambda p: p.write_text("a: [1, 2\nb: {"), "line"),
    "min.js": (lambda p: p.write_text("var a=1;" * 900), "minified"),
    "huge.txt": (lambda p: p.write_text(PROSE * 900), "over the limit of 100.0 kB"),
    "deep.json": (lambda p: p.write_text("[" * 50_000 + "]" * 50_000), "nested"),
    "broken.md": (lambda p: p.symlink_to("nowhere.md"), "broken link"),
    "self.md": (lambda p: p.symlink_to(p.name), "symlink loop"),
    "loop": (lambda p: p.symlink_to("."), "symlink loop"),
    "pipe": (lambda p: os.mkfifo(p), "no regular file"),
}  # fmt: skip


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileLine]:
    folder = tmp_path_factory.mktemp("broken")
    for name, (make, _) in BROKEN.items():
        make(folder / name)
    (folder / "zz_good.md").write_text(f"# A good one\n\n{PROSE * 3}")
    return {line.source.rstrip("/"): line for line in read(folder, largest=100_000).lines}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_becomes_a_line_that_says_what_to_do(broken: dict[str, FileLine], name: str) -> None:
    line = broken[name]
    assert line.documents == 0
    assert BROKEN[name][1] in line.reason
    assert "Traceback" not in line.reason
    assert "broke its parser" not in line.reason


def test_the_run_goes_on_after_broken_files(broken: dict[str, FileLine]) -> None:
    assert len(broken) == len(BROKEN) + 1
    assert broken["zz_good.md"] == FileLine("zz_good.md", 1, "", "prose")


@pytest.mark.parametrize(
    ("name", "data", "holds", "says"),
    [
        ("page.md", b"<!DOCTYPE html><html><body><p>" + PROSE.encode() * 2 + b"</p></html>", "harbour at Lamu", "rename"),
        ("western.txt", ("Die Fähre läuft übermorgen aus, sagt er. " * 4).encode("cp1252"), "Fähre läuft über", "not UTF-8"),
        ("scratched.txt", ("Die Fähre läuft übermorgen. " * 4).encode() + b"\xff.", "läuft über", "1 places are not UTF-8"),
        ("wide.txt", (PROSE * 2).encode("utf-16"), "harbour at Lamu", "UTF-16"),
        ("torn.txt", (PROSE + "é").encode()[:-1], "harbour at Lamu", "cut off"),
        ("torn.jsonl", json.dumps({"text": PROSE}).encode() + b'\n{"text": "to', "harbour at Lamu", "left out: 2"),
        ("page.html", b"<html><body><p>" + PROSE.encode() * 2, "harbour at Lamu", "cut off"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_seems_is_read_and_said(
    tmp_path: Path, name: str, data: bytes, holds: str, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    corpus = read(tmp_path)
    assert holds in corpus.documents[0].text
    assert says in corpus.lines[0].reason


def test_a_pdf_called_txt_is_read_as_a_pdf(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "the_clock_on_the_mountain.pdf", tmp_path / "essay.txt")
    corpus = read(tmp_path)
    assert "√(L / g)" in corpus.documents[0].text
    assert "rename it to essay.pdf" in corpus.lines[0].reason


def test_records_keep_their_row_their_title_and_their_licence(tmp_path: Path) -> None:
    rows = [
        {"title": f"Harbour {n}", "body": f"{PROSE}Boat {n} came in at {n + 4}. " * 2, "license": "MIT", "id": n}
        for n in range(3)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    parquet(
        tmp_path / "b.parquet",
        [{**row, "body": str(row["body"]).replace("Boat", "Dhow").replace("harbour", "creek")} for row in rows],
    )
    (tmp_path / "c.json").write_text(
        json.dumps([{"messages": [{"role": "user", "content": f"{PROSE} {n}?"} for n in range(4)]}])
    )
    corpus = read(tmp_path)
    assert [d.source for d in corpus.documents][:2] == ["a.jsonl#1", "a.jsonl#2"]
    assert {d.source for d in corpus.documents} >= {"b.parquet#3", "c.json#1"}
    assert corpus.documents[0].title == "Harbour 0"
    assert corpus.documents[0].licence == "MIT"
    assert [d.kind for d in corpus.documents if d.source == "c.json#1"] == ["dialogue"]


def test_a_text_column_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"prosa": PROSE, "n": 1}))
    assert read(tmp_path, text_column="prosa").documents[0].text == PROSE.strip()


def test_long_tables_repeat_their_head_in_every_document(tmp_path: Path) -> None:
    rows = "\n".join(f"Quay {n},{n * 37 % 101},{n % 7} m" for n in range(900))
    (tmp_path / "quays.csv").write_text("quay,boats,depth\n" + rows)
    corpus = read(tmp_path)
    assert len(corpus.documents) > 3
    assert all(d.text.startswith("| quay | boats | depth |\n| --- |") and d.kind == "table" for d in corpus.documents)
    assert sum(d.text.count("| Quay ") for d in corpus.documents) == 900


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("a.py", "# SPDX-License-Identifier: BSD-3-Clause\n" + f'"""{PROSE}"""\n' * 2, "BSD-3-Clause"),
        ("b.md", f"---\nlicense: CC BY 4.0\n---\n# Title\n\n{PROSE}", "CC-BY-4.0"),
        ("c.rst", f"Title\n=====\n\n{PROSE}\n\nThis document has been placed in the public\ndomain.\n", "public-domain"),
        ("d.html", f'<html><body><p>{PROSE * 2}</p><a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">x</a></body></html>',
         "CC-BY-SA-4.0"),
        ("e.txt", PROSE * 2, "ISC"),
        ("f.md", f"# Fairy tales\n\n{PROSE} The tales entered the public domain long ago, says Ms Eze.", "ISC"),
    ],
)  # fmt: skip
def test_a_licence_is_what_the_text_says_else_what_the_user_says(tmp_path: Path, name: str, text: str, licence: str) -> None:
    (tmp_path / name).write_text(text)
    assert read(tmp_path, licence="ISC").documents[0].licence == licence


def test_a_licence_file_speaks_for_the_files_below_it_and_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "LICENSE").write_text(
        "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of"
    )
    (tmp_path / "lib" / "deep" / "a.md").write_text(PROSE)
    (tmp_path / "b.md").write_text(PROSE.replace("Lamu", "Zadar and the whole of the long Dalmatian coast"))
    corpus = read(tmp_path)
    assert {d.source: d.licence for d in corpus.documents} == {"b.md": "unknown", "lib/deep/a.md": "MIT"}
    assert "licence" in next(line.reason for line in corpus.lines if line.source == "lib/LICENSE")


LONG = " ".join(
    f"Ship number {n} carried {n * 7 % 31} barrels of oil and {n * 5 % 17} of salt past the lighthouse." for n in range(30)
)


def test_of_duplicates_the_first_in_order_stays_and_the_other_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "b_copy.md").write_text(LONG.upper())
    (tmp_path / "a.md").write_text(LONG)
    (tmp_path / "c_near.md").write_text(LONG.replace("number 17 carried", "number 17 never carried"))
    (tmp_path / "d_other.md").write_text(LONG.replace("barrels", "casks").replace("past the lighthouse", "by night"))
    corpus = read(tmp_path)
    assert [d.source for d in corpus.documents] == ["a.md", "d_other.md"]
    reasons = {line.source: line.reason for line in corpus.lines}
    assert "repeat a.md exactly" in reasons["b_copy.md"]
    assert "repeat a.md nearly" in reasons["c_near.md"]


def test_a_later_corpus_leaves_out_what_an_earlier_one_had(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "a.md").write_text(LONG)
    (tmp_path / "two" / "b.md").write_text(LONG.replace("number 3 carried", "number 3 brought"))
    (tmp_path / "two" / "c.md").write_text(PROSE * 2)
    first = read(tmp_path / "one")
    state = json.loads(json.dumps(first.known.state()))
    second = read(tmp_path / "two", known=Known.restored(state))
    assert [d.source for d in second.documents] == ["c.md"]
    assert "repeat a.md" in second.lines[0].reason
    assert read(tmp_path / "one", known=Known.restored(state)).documents == ()


def test_signatures_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        Known.restored({"format": 99, "seen": []})


def test_the_same_files_give_the_same_documents_in_whatever_order_they_are_named(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "c/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n\n" + LONG.replace("barrels", f"barrels {name}").replace("Ship", name))
    forwards = read([tmp_path / "a.md", tmp_path / "b.md", tmp_path / "c"], root=tmp_path)
    backwards = read([f"{tmp_path}/**/*.md", tmp_path / "c", tmp_path / "b.md"], root=tmp_path)
    assert forwards.documents == backwards.documents
    assert forwards.fingerprint == backwards.fingerprint
    assert [d.source for d in forwards.documents] == ["a.md", "b.md", "c/d.md"]


def test_a_stream_gives_each_files_documents_and_then_its_line() -> None:
    seen = list(stream(EXAMPLES, size=Size(500, 1000, 1500)))
    sources = [one.source for one in seen if isinstance(one, FileLine)]
    assert sources == sorted(sources)
    for at, one in enumerate(seen):
        if isinstance(one, FileLine):
            before = seen[at - one.documents : at]
            assert all(isinstance(d, Document) and d.source == one.source for d in before)
    assert all(len(d.text) <= 1500 for d in seen if isinstance(d, Document))


def test_a_stream_that_is_given_up_leaves_no_child_behind(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": f"{n} {PROSE} {n}"}) for n in range(500)))
    reading = stream(tmp_path)
    assert isinstance(next(reading), Document)
    reading.close()  # type: ignore[attr-defined]
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    assert "preceptor.corpus.child" not in children


@pytest.mark.parametrize(
    ("path", "says"),
    [("nowhere", "there are: a.png"), ("*.md", "no file matches"), ("", "PNG image"), ("empty_folder", "no files")],
)
def test_nothing_to_read_is_an_error_that_says_what_there_is(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG" + b"\0" * 50)
    if path == "empty_folder":
        (tmp_path / path).mkdir()
    with pytest.raises(DocumentError, match=says):
        read(str(tmp_path / path) if path else tmp_path)


def test_a_file_that_hangs_its_parser_costs_its_time_and_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(PROSE * 2)
    with Parsers(seconds=1.0) as parsers:
        os.kill(parsers.start().pid, signal.SIGSTOP)
        with pytest.raises(Unreadable, match="more than 1 s"):
            list(parsers.records(Wish(str(tmp_path / "good.txt"))))
        parsers.seconds = 60.0
        assert len(list(parsers.records(Wish(str(tmp_path / "good.txt"))))) == 1
        assert parsers.started == 2


def test_a_file_that_kills_its_parser_is_named_and_the_next_gets_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(PROSE * 2)
    with Parsers() as parsers:
        child = parsers.start()
        child.kill()
        with pytest.raises(Unreadable):
            list(parsers.records(Wish(str(tmp_path / "good.txt"))))
        assert len(list(parsers.records(Wish(str(tmp_path / "good.txt"))))) == 1


def test_one_child_serves_all_files_and_sees_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-secret")
    for n in range(5):
        (tmp_path / f"{n}.txt").write_text(PROSE * 2)
    with Parsers() as parsers:
        for n in range(5):
            list(parsers.records(Wish(str(tmp_path / f"{n}.txt"))))
        assert parsers.started == 1
        assert parsers.child is not None
        environment = Path(f"/proc/{parsers.child.pid}/environ")
        if environment.exists():
            assert b"sk-secret" not in environment.read_bytes()


def test_a_parser_may_not_open_a_connection_or_start_a_program() -> None:
    code = (
        "import sys, socket, subprocess\nfrom preceptor.corpus.child import limited\nlimited(4 << 30)\n"
        "for act in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: subprocess.run(['true'])):\n"
        "    try:\n        act()\n    except PermissionError:\n        print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.stdout.split() == ["refused", "refused"]


def test_a_right_that_is_missing_is_said_with_what_to_type() -> None:
    assert "chmod u+r 'a.md'" in unreachable(Path("x/a.md"), PermissionError(13, "Permission denied"))


def test_importing_the_corpus_loads_no_parser() -> None:
    code = "import sys, preceptor.corpus; print([m for m in ('lxml', 'kreuzberg', 'numpy', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents are not beside this clone (../shared/seeds)")
def test_all_seeds_read_with_formulas_and_chapters_recognisable() -> None:
    corpus = read([SEEDS / name for name in ("books", "code", "guides", "peps")], root=SEEDS)
    assert len(corpus.lines) == 116
    assert [line for line in corpus.lines if line.reason or not line.documents] == []
    book = "\n".join(d.text for d in corpus.documents if d.source.endswith("mathematics.pdf"))
    for formula in (
        "x^2 + 1 = 3",
        "x = ± √(b − a)",
        "−c^2",
        "W/w = W/(W − F)",
        "3 + 1/10 + 4/100 + 1/1000 + 5/10000 + 9/100000",
    ):
        assert formula in book
    assert book.count("## CHAPTER") == 17
    titles = {d.title for d in corpus.documents if d.source.endswith("nowhere.htm")}
    chapters = {title.partition("CHAPTER ")[2].partition(":")[0] for title in titles if "CHAPTER" in title}
    assert len(chapters) >= 30
    everything = "\n".join(d.text for d in corpus.documents if d.source.startswith("books/"))
    assert "Project Gutenberg" not in everything
    assert {d.language for d in corpus.documents} <= {"en", "und"}
    assert all(len(d.text) <= 6000 for d in corpus.documents)


def test_sources_outside_the_root_are_named_alike_on_every_machine(tmp_path: Path) -> None:
    def sources(base: Path) -> list[str]:
        for name in ("recipe", "data/seeds/deep", "other"):
            (base / name).mkdir(parents=True)
        for number, name in enumerate(("recipe/a.md", "data/seeds/a.md", "data/seeds/deep/b.md", "other/a.md")):
            (base / name).write_text(PROSE + f"In the year {1900 + number} " + f"harbour {number} paid. " * (10 + 9 * number))
        asked = [base / "recipe/a.md", base / "data/seeds", base / "recipe/../other/a.md"]
        return [line.source for line in read(asked, root=base / "recipe").lines]

    expected = ["a.md", "other/a.md", "seeds/a.md", "seeds/deep/b.md"]
    assert sources(tmp_path / "one") == sources(tmp_path / "elsewhere" / "two") == expected
