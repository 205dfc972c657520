"""The built wheel, unpacked outside the clone, has all that the commands need: packs, template, texts, demo documents."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel's files lie, as an installer would lay them."""
    pytest.importorskip("hatchling", reason="building the wheel needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(site: Path, folder: Path, *words: str) -> str:
    """What the unpacked package prints; the clone's own is out of reach."""
    env = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_the_wheel_that_is_tried(unpacked: Path, tmp_path: Path) -> None:
    assert python(unpacked, tmp_path, "-c", "import preceptor; print(preceptor.__file__)").startswith(str(unpacked))


def test_new_check_and_try_run_outside_the_clone(unpacked: Path, tmp_path: Path) -> None:
    python(unpacked, tmp_path, "-m", "preceptor", "new", "orders")
    assert "✓ orders" in python(unpacked, tmp_path, "-m", "preceptor", "check", "orders")
    words = "try orders orders/golden/documents/tides.md --model scripted:orders/trial.jsonl --brief"
    assert "3 accepted of 3 rows" in python(unpacked, tmp_path, "-m", "preceptor", *words.split())


def test_every_pack_in_the_box_is_in_the_wheel_too(unpacked: Path, tmp_path: Path) -> None:
    skills = python(unpacked, tmp_path, "-m", "preceptor", "skills", "--json")
    for name in ("reading_comprehension", "text_modification", "tool_use"):
        assert f'"{name}"' in skills
    source = ROOT / "src" / "preceptor"
    texts = [f for f in source.rglob("*") if f.suffix in (".md", ".toml", ".sql", ".jinja", ".jsonl") and f.is_file()]
    assert texts
    assert [f for f in texts if not (unpacked / "preceptor" / f.relative_to(source)).is_file() and "build" not in f.parts] == []


def test_the_demo_finds_its_documents_in_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    found = python(unpacked, tmp_path, "-c", "from preceptor.demo import documents_folder; print(documents_folder())").strip()
    assert found.startswith(str(unpacked))
    assert (Path(found) / "the_lamp_at_skaldavik.md").is_file()
