"""The engine and a bare aiohttp client do the same calls in turn; what each cost is printed side by side.

    endpoint (a process of its own, on loopback) ◀── bare   one coroutine a record, nothing kept
                                                 ◀── engine  the pack `chain` through `preceptor.run`, journal and all

Needs nothing but the package. On a machine that does other things too only the ratios of one run say anything: the two
take turns, and the middle of the rounds is told.
"""

import argparse
import asyncio
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from binascii import crc32
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK, SIGNATURE = re.compile(rb"\[\[rec:(\d+) step:(\d+)"), re.compile(rb"sig=([0-9a-f]{8})")
FILLER = "words that stand for what a model would have written at some length about it " * 15
WORDS = ("harbour", "ledger", "tide", "lantern", "market", "bridge", "winter", "signal", "orchard", "ferry", "copper")


# ── the endpoint ─────────────────────────────────────────────────────────────────────────────────────────────────


class Wire(asyncio.Protocol):
    """One connection: a request, its signed reply after the latency of its record and step, the next request."""

    def __init__(self, slots: asyncio.Semaphore, seconds: float) -> None:
        self.slots, self.seconds, self.held = slots, seconds, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, found, body = self.held.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not found or length is None or len(body) < int(length[1]):
            return
        self.held = b""
        if self.seconds:
            self.task = asyncio.ensure_future(self.later(body))
        else:
            self.transport.write(reply(body))

    async def later(self, body: bytes) -> None:
        record, step = (int(part) for part in MARK.search(body).groups())  # type: ignore[union-attr]
        async with self.slots:
            await asyncio.sleep(self.seconds * random.Random(record * 7 + step).lognormvariate(-0.32, 0.8))
        if not self.transport.is_closing():
            self.transport.write(reply(body))


def reply(body: bytes) -> bytes:
    """A chat completion whose signature follows from the record, the step and the last signature in the prompt."""
    record, step = (part.decode() for part in MARK.search(body).groups())  # type: ignore[union-attr]
    before = SIGNATURE.findall(body)
    signature = crc32(f"{record};{step};{before[-1].decode() if before else ''}".encode())
    text = f"##rec={record};step={step};sig={signature:08x}## {FILLER} END"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": len(body) // 4, "completion_tokens": 300}
    said = json.dumps({"object": "chat.completion", "model": "sim", "choices": [choice], "usage": usage}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)


async def endpoint(slots: int, seconds: float) -> None:
    """Serves until the process is ended; its port is the first line that it prints."""
    free = asyncio.Semaphore(slots)
    server = await asyncio.get_running_loop().create_server(lambda: Wire(free, seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# ── the two clients ──────────────────────────────────────────────────────────────────────────────────────────────


def text_of(record: int) -> str:
    """The document of a record: about a thousand characters."""
    draw = random.Random(record)
    return " ".join(draw.choice(WORDS) for _ in range(160))


def prompts_of(record: int, steps: int) -> Iterator[str]:
    for step in range(1, steps + 1):
        yield f"[[rec:{record} step:{step}]] Write what follows from the text below.\n\n"


async def bare(url: str, n: int, steps: int, slots: int) -> int:
    """Every record at once, the pool of connections is the only bound; returns how many chains are whole."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=slots)) as session:

        async def chain(record: int) -> bool:
            text = documents[record]
            for prompt in prompts_of(record, steps):
                body = {"model": "sim", "messages": [{"role": "user", "content": prompt + text}]}
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    text = (await response.json())["choices"][0]["message"]["content"]
            return text.endswith("END")

        documents = [text_of(record) for record in range(n)]
        return sum(await asyncio.gather(*(chain(record) for record in range(n))))


def engine(url: str, n: int, steps: int, slots: int, folder: Path) -> int:
    """The same chains as a run; returns how many rows are accepted."""
    from preceptor import Document, load_recipe, run

    class Documents:
        def __iter__(self) -> Iterator[Document]:
            for record in range(n):
                text, kind = text_of(record), "prose"
                if steps == 1:
                    row = {"instruction": "Write what follows from the text.", "passage": text, "kind": "single"}
                    text, kind = json.dumps(row), "instruction"
                yield Document(f"doc{record}", text, str(record), kind=kind)

    recipe = folder / "recipe.toml"
    recipe.write_text(
        f'start = "{"respond" if steps == 1 else "transform"}"\nskills = ["{HERE / "chain"}"]\n'
        f'teacher = {{ url = "{url}", model = "sim", in_flight = {slots} }}\n[limits]\nin_flight = {slots}\n'
    )
    made = run(load_recipe(recipe), folder / "run", documents=Documents())
    assert made.ended is not None
    return made.ended.progress.examples["accepted"]


def client(who: str, url: str, n: int, steps: int, slots: int) -> dict[str, float]:
    """What one client's turn took: seconds, own processor seconds, and the most memory of its process in MB."""
    if who == "engine":
        import preceptor.factory  # noqa: F401  # imports are not what is measured here
    import aiohttp  # noqa: F401

    began, before = time.perf_counter(), time.process_time()
    if who == "bare":
        whole = asyncio.run(bare(url, n, steps, slots))
    else:
        with tempfile.TemporaryDirectory(prefix="preceptor-bench-") as folder:
            whole = engine(url, n, steps, slots, Path(folder))
    spent, took = time.process_time() - before, time.perf_counter() - began
    if whole != n:
        raise SystemExit(f"{who}: {whole} of {n} chains are whole")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "cpu_ms": 1000 * spent / (n * steps), "memory_mb": memory}


# ── side by side ─────────────────────────────────────────────────────────────────────────────────────────────────


def turns(n: int, steps: int, slots: int, ms: float, rounds: int) -> list[dict[str, dict[str, float]]]:
    """The rounds: what each client's turn took, one after the other, against one endpoint."""
    again = [sys.executable, __file__, "--n", str(n), "--steps", str(steps), "--slots", str(slots), "--ms", str(ms)]
    served = subprocess.Popen([*again, "--as", "endpoint"], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        url = f"http://127.0.0.1:{served.stdout.readline().strip()}/v1"
        return [
            {
                who: json.loads(subprocess.run([*again, "--as", who, "--url", url], check=True, capture_output=True).stdout)
                for who in ("bare", "engine")
            }
            for _ in range(rounds)
        ]
    finally:
        served.terminate()
        served.wait(10)


def told(title: str, rounds: list[dict[str, dict[str, float]]]) -> str:
    """A table: the middle of each client's rounds, and the middle of the ratios within a round."""
    lines = [title, f"  {'':22}{'bare aiohttp':>14}{'engine':>10}{'ratio':>8}"]
    for name, what in (("cpu_ms", "CPU per call, ms"), ("seconds", "wall, s"), ("memory_mb", "peak memory, MB")):
        middle = [statistics.median(r[who][name] for r in rounds) for who in ("bare", "engine")]
        ratio = statistics.median(r["engine"][name] / r["bare"][name] for r in rounds)
        lines.append(f"  {what:22}{middle[0]:>14.3f}{middle[1]:>10.3f}{ratio:>8.2f}")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=0, help="records (default: 4000 of one call, 300 of five)")
    options.add_argument("--steps", type=int, choices=(1, 5), default=0, help="dependent calls a record (default: both)")
    options.add_argument("--slots", type=int, default=64)
    options.add_argument("--ms", type=float, default=0.0, help="latency of the endpoint with --steps")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--as", dest="role", choices=("endpoint", "bare", "engine"), help=argparse.SUPPRESS)
    options.add_argument("--url", default="", help=argparse.SUPPRESS)
    said = options.parse_args()
    if said.role == "endpoint":
        asyncio.run(endpoint(said.slots, said.ms / 1000))
    elif said.role:
        print(json.dumps(client(said.role, said.url, said.n, said.steps, said.slots)))
    else:
        for steps, n, ms in [(1, 4000, 0.0), (5, 300, 100.0)] if not said.steps else [(said.steps, said.n or 100, said.ms)]:
            count, each = said.n or n, "one call" if steps == 1 else f"{steps} calls"
            title = f"{count} records, {each} each, {said.slots} slots, {ms:g} ms, {said.rounds} rounds"
            print(told(title, turns(count, steps, said.slots, ms, said.rounds)), flush=True)


if __name__ == "__main__":
    main()
