"""The bench measures what it says it does: every chain is whole, and both ways into it work with nothing from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "benchmarks"
COMMON = '''
"""What a bench of peers provides, at its smallest."""
import argparse, json, os
INSTR = {"transform": "Rewrite it."}
def doc(number): return f"Of the {number} berths seventeen are kept free. " * 20
class Job:
    def __init__(self, said): self.__dict__.update(vars(said))
    def start(self): pass
    def end(self): pass
    def save(self, rows):
        with open(os.path.join(self.workdir, "out.jsonl"), "w") as file:
            for record, links in rows: file.write(json.dumps([record, links]) + "\\n")
def job():
    options = argparse.ArgumentParser()
    for name, kind in (("n", int), ("steps", int), ("conc", int), ("workdir", str), ("base", str)):
        options.add_argument(f"--{name}", type=kind)
    options.add_argument("--json", action="store_true")
    return Job(options.parse_args())
'''


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The bench's own endpoint, in a process of its own."""
    line = [sys.executable, str(BENCH / "side_by_side.py"), "--as", "endpoint"]
    served = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    yield f"http://127.0.0.1:{served.stdout.readline().strip()}/v1"
    served.terminate()
    served.wait(10)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_engine_and_a_bare_client_are_measured_side_by_side(steps: int) -> None:
    line = [sys.executable, str(BENCH / "side_by_side.py"), "--n", "12", "--steps", str(steps), "--rounds", "1", "--ms", "2"]
    told = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    assert [row.split("  ")[1] for row in told.stdout.splitlines()[2:]] == ["CPU per call, ms", "wall, s", "peak memory, MB"]


@pytest.mark.parametrize("steps", [1, 5])
def test_the_driver_takes_every_document_through_every_link(steps: int, endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "common.py").write_text(COMMON)
    line = [sys.executable, str(BENCH / "preceptor_driver.py"), "--n", "9", "--steps", str(steps), "--conc", "4"]
    told = subprocess.run(
        [*line, "--workdir", str(tmp_path), "--base", endpoint],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert told.returncode == 0, told.stderr
    rows = [json.loads(row) for row in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(record for record, _ in rows) == list(range(9))
    for record, links in rows:
        assert [f"##rec={record};step={n};" in link for n, link in enumerate(links, 1)] == [True] * steps


def test_every_peer_of_the_bench_file_names_a_driver_that_is_there() -> None:
    for peer in json.loads((BENCH / "peers.json").read_text()).values():
        assert (BENCH / peer["driver"]).is_file()
