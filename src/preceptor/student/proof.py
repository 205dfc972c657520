"""Does it teach? Six arms at equal training tokens, one exam, results as found.

documents ─▶ bank of rows, exam ─▶ base, base with three shots ─▶ plan by the clock ─▶ seed by seed: train, examine ─▶ the page
               ╰▶ the base's own answers: those that fail are the arm `failed`

Every finished part leaves a file; the same command goes on from there. `python -m preceptor.student.proof`, or `make proof`.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from preceptor import corpus
from preceptor.draws import digest, shuffled
from preceptor.errors import PreceptorError, UserError
from preceptor.files import whole
from preceptor.flows.verify import accepts
from preceptor.prompts import fill
from preceptor.skill import Skill, load_skill
from preceptor.student import exam as exams
from preceptor.student import page
from preceptor.student.answer import Asked, replies
from preceptor.student.evaluate import Result, evaluate, is_right, read_result, write_result
from preceptor.student.exam import Exam, Item, Seen, by_file, composed, even, examples_by_code, read_exam, write_exam
from preceptor.student.rows import Row, held_out, row_of
from preceptor.student.train import Settings, tokens_of, train
from preceptor.student.weights import folder_of, tokenizer_of
from preceptor.types import Document

SKILLS = ("reading_comprehension", "text_modification", "tool_use")
EDITS = ("redact", "keyword_replace", "style_markup", "case", "two_edits")
KINDS: Mapping[str, Sequence[str]] = {"text_modification": EDITS, "tool_use": exams.CALLS}
ARMS = ("taught", "shuffled", "failed", "unrefined")
DOES: Mapping[str, str] = {
    "base": "the embedded model as it is",
    "base, 3 shots": "the same with three solved tasks of the kind in the prompt",
    "taught": "verified rows of the three skills, refined ones among them",
    "shuffled": "the same rows, answers exchanged within their kind",
    "failed": "the base's own answers to such tasks, where checks found them wrong",
    "unrefined": "verified rows without any refined one",
}
BANK: Mapping[str, int] = {"tool_use": 300}
MOST_ROWS = 700
"""Rows of a skill that are made at most; those of tool use are longer, and each takes half a second of sandbox."""
SEED_TOKENS, ARM_TOKENS, MOST_TOKENS = 150_000, 30_000, 300_000
"""Training tokens of an arm: below the first a seed is given up, below the second an arm. 51,000 tokens in 70 steps taught
calls and the bare forms, and little else (docs/log.md): more tokens come before more seeds."""
TRAINED = 0.6
"""An exam of a trained student by that of the base, which writes on to its limit: measured 323 to 612 seconds."""
LENGTH = 768
"""Tokens of a packed sequence: the rows of recorded runs are long, and longer ones stay out."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """What there is to spend."""

    minutes: float = 120
    seeds: int = 3
    items: int = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clock allows, from what was measured; fixed once made."""

    tokens: int
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    dropped: tuple[str, ...]
    seconds_per_token: float
    seconds_per_exam: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder of one experiment, and who is told."""

    folder: Path
    budget: Budget
    say: Say
    base: str = "local"

    def file(self, name: str) -> Path:
        return self.folder / name


# ── matter ───────────────────────────────────────────────────────────────────────────────────────────────────────


def documents(paths: Sequence[str]) -> dict[str, list[Document]]:
    """The documents of the first of these folders that is there, by file; named from that folder on, wherever it lies."""
    folder = next((p for p in paths if Path(p).is_dir()), None)
    if folder is None:
        raise UserError(f"no documents at {', '.join(paths)}; name a folder: DOCUMENTS=folder make proof")
    return by_file(corpus.read(folder, root=folder).documents)


async def bank(files: Mapping[str, Sequence[Document]], skills: Mapping[str, Skill], say: Say) -> tuple[list[Row], list[Item]]:
    """Verified rows from the documents that may be trained on, and each row's task as an item, so that others can answer it."""
    taught = {name: pieces for name, pieces in files.items() if not held_out(name)}
    rows: list[Row] = []
    tasks: list[Item] = []
    for name, skill in skills.items():
        kinds, made = KINDS.get(name, ()), list[Any]()
        for batch in portions(taught, 12):
            made += await examples_by_code(skill, batch, "bank", exam=False, kinds=kinds)
            if len(made) >= 1.5 * BANK.get(name, MOST_ROWS):
                break
        chosen = chosen_evenly(made, BANK.get(name, MOST_ROWS))
        for example in chosen:
            row = exams.row_up_to_calls(example, name)
            found = exams.items_of(example, skill)
            if found:
                rows.append(replace(row, refined=row.refined or row.kind == "two_edits"))
                # The task in the row's own words, up to its first answer: what the base is asked for the arm of failed rows.
                first = next(n for n, m in enumerate(row.messages) if m["role"] == "assistant")
                tasks.append(replace(found[0], id=row.id, messages=row.messages[:first]))
        say(f"{name}: {len(chosen)} rows by code")
    return rows, tasks


def portions(files: Mapping[str, Sequence[Document]], size: int) -> list[dict[str, Sequence[Document]]]:
    names = shuffled(sorted(files), "bank", "files")
    return [{name: files[name] for name in names[i : i + size]} for i in range(0, len(names), size)]


def chosen_evenly(examples: Sequence[Any], most: int) -> list[Any]:
    """Up to `most`, a kind at a time in turn."""
    kinds: defaultdict[str, list[Any]] = defaultdict(list)
    for example in examples:
        kinds[example.instruction.kind].append(example)
    rounds = max((len(k) for k in kinds.values()), default=0)
    return [k[n] for n in range(rounds) for k in kinds.values() if n < len(k)][:most]


def recorded(skills: Mapping[str, Skill]) -> list[Row]:
    """The accepted rows of the packs' recorded runs: a strong teacher's answers, through all steps of the flows."""
    from preceptor.testing.golden import golden_rows

    found = []
    for name, skill in skills.items():
        for example in golden_rows(skill.path):
            if accepts(example.verdicts) and not held_out(example.instruction.material.document.source):
                row = row_of(example, name)
                found.append(replace(row, id=f"recorded-{row.id}"))
    return found


def matter(bench: Bench, paths: Sequence[str]) -> tuple[list[Row], list[Item], Exam]:
    """Bank, tasks and exam: made once, read afterwards."""
    files = [bench.file(name) for name in ("bank.jsonl", "tasks.jsonl", "exam.jsonl")]
    if not all(file.is_file() for file in files):
        began = time.monotonic()
        held = documents(paths)
        skills = {name: load_skill(name) for name in SKILLS}
        rows, tasks = asyncio.run(bank(held, skills, bench.say))
        tokenizer = tokenizer_of(folder_of(bench.base, bench.say))
        strong = [r for r in recorded(skills) if tokens_of(r, tokenizer)[0] <= LENGTH]
        bench.say(f"{len(strong)} recorded rows of at most {LENGTH} tokens")
        rows += strong
        exam = asyncio.run(composed(skills, held, rows, {}, bench.budget.items, "exam", KINDS))
        held_back: Sequence[Sequence[Any]] = (rows, tasks)
        for file, things in zip(files[:2], held_back, strict=True):
            whole(file, b"".join(orjson.dumps(thing) + b"\n" for thing in things))
        write_exam(exam, files[2])
        note = {
            "files": len(held),
            "held_out": sum(map(held_out, held)),
            "left_out": dict(exam.left_out),
            "seconds": time.monotonic() - began,
            "folder": next(Path(p).name for p in paths if Path(p).is_dir()),
        }
        whole(bench.file("matter.json"), orjson.dumps(note))
    rows = [Row(**{**line, "messages": tuple(line["messages"])}) for line in lines_of(files[0])]
    tasks = [Item(**{**line, "messages": tuple(line["messages"])}) for line in lines_of(files[1])]
    return rows, tasks, read_exam(files[2])


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


# ── what each arm is taught ──────────────────────────────────────────────────────────────────────────────────────


def answered(row: Row, task: Item, said: str) -> Row:
    """The row up to its first answer, with this one instead."""
    messages = (*task.messages, {"role": "assistant", "content": said})
    return replace(row, id=digest(row.id, said), answer=said, messages=messages)


def exchanged(rows: Sequence[Row], seed: int) -> list[Row]:
    """The rows with their answers passed round within their kind: the form is right, every answer is another row's. A row
    that comes again has the same wrong answer again."""
    made: dict[str, Row] = {}
    kinds: defaultdict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        kinds[row.skill, row.kind][row.id] = row
    for place, found in kinds.items():
        order = shuffled(list(found.values()), seed, "exchange", *place)
        for row, other in zip(order, [*order[1:], order[0]], strict=True):
            given = [m for m in other.messages if m["role"] == "assistant"]
            own = [n for n, m in enumerate(row.messages) if m["role"] == "assistant"]
            put = {n: given[min(turn, len(given) - 1)] for turn, n in enumerate(own)}
            messages = tuple(put.get(n, m) for n, m in enumerate(row.messages))
            made[row.id] = replace(row, id=digest(row.id, other.id), answer=other.answer, messages=messages)
    return [made[row.id] for row in rows]


def matched(rows: Sequence[Row], tokens: int, sizes: Mapping[str, int], seed: int) -> list[Row]:
    """Rows drawn by the seed, skills in turn by tokens, until there are `tokens` of them; a skill whose rows are used up
    begins them anew, in another order."""
    skills = sorted({r.skill for r in rows})
    queues: dict[str, list[Row]] = {s: [] for s in skills}
    turns, spent = dict.fromkeys(skills, 0), dict.fromkeys(skills, 0)
    taken: list[Row] = []
    while skills and sum(spent.values()) < tokens:
        skill = min(skills, key=lambda s: spent[s])
        if not queues[skill]:
            queues[skill] = shuffled([r for r in rows if r.skill == skill], seed, "rows", skill, turns[skill])
            turns[skill] += 1
        row = queues[skill].pop(0)
        taken.append(row)
        spent[skill] += sizes[row.id]
    return taken


def rows_of_arm(arm: str, seed: int, plan: Plan, rows: Sequence[Row], failed: Sequence[Row], tokenizer: Any) -> list[Row]:
    """What this arm learns from: as many tokens as every other arm."""
    plain = [r for r in rows if not r.refined] if arm == "unrefined" else list(failed if arm == "failed" else rows)
    sizes = {r.id: tokens_of(r, tokenizer)[0] for r in plain}
    taken = matched([r for r in plain if sizes[r.id] <= LENGTH], plan.tokens, sizes, seed)
    return exchanged(taken, seed) if arm == "shuffled" else taken


# ── the parts that cost time ─────────────────────────────────────────────────────────────────────────────────────


def sat(bench: Bench, name: str, model: str, exam: Exam, shots: int = 0) -> Result:
    """The model's result, from its file where it is there."""
    file = bench.file(f"results/{name}.json")
    if not file.is_file():
        bench.say(f"{name}: sits the exam")
        write_result(evaluate(model, exam, shots=shots, tell=telling(bench, name)), file)
    return read_result(file)


def telling(bench: Bench, name: str) -> Callable[[int, int], None]:
    told = time.monotonic()

    def tell(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > 30:
            told = time.monotonic()
            bench.say(f"{name}: {done} of {of}")

    return tell


def own_answers(bench: Bench, rows: Sequence[Row], tasks: Sequence[Item]) -> tuple[list[Row], list[Row], float]:
    """The base's greedy answers to tasks of the bank: wrong ones as rows, right ones as rows, and the seconds it took."""
    file = bench.file("own_answers.json")
    chosen = even(list(tasks), 0)[: max(300, int(bench.budget.minutes * 6))]
    by_id = {row.id: row for row in rows}
    if not file.is_file():
        bench.say(f"the base answers {len(chosen)} tasks of the bank, for the arm of failed rows")
        began = time.monotonic()
        asked = [Asked(task.messages, task.most) for task in chosen]
        said = replies(bench.base, asked, tell=telling(bench, "the base's own answers"))
        right = asyncio.run(marked(chosen, said))
        held = {"said": dict(zip((t.id for t in chosen), said, strict=True)), "right": right}
        whole(file, orjson.dumps({**held, "seconds": time.monotonic() - began}))
    held = orjson.loads(file.read_bytes())
    good = set(held["right"])
    made = [(t, answered(by_id[t.id], t, text)) for t in chosen if (text := held["said"][t.id].strip()) and t.id in by_id]
    wrong = [row for task, row in made if task.id not in good]
    sound = [replace(row, id=f"own-{task.id}") for task, row in made if task.id in good]
    return wrong, sound, float(held["seconds"])


def with_own(rows: Sequence[Row], sound: Sequence[Row]) -> list[Row]:
    """The rows, those that the base answered rightly itself in its own words instead of the builder's."""
    own = {row.id.removeprefix("own-") for row in sound}
    return [*(row for row in rows if row.id not in own), *sound]


async def marked(tasks: Sequence[Item], said: Sequence[str]) -> list[str]:
    """The ids of the tasks that were answered rightly."""
    skills = {name: load_skill(name) for name in SKILLS}
    return [t.id for t, reply in zip(tasks, said, strict=True) if await is_right(t, reply, skills[t.skill])]


def pace(bench: Bench, rows: Sequence[Row]) -> float:
    """Seconds a token takes to train on, from a few steps."""
    file = bench.file("pace.json")
    if not file.is_file():
        bench.say("measuring how long a token takes to train on")
        steps = 4
        began = train(rows[:60], bench.base, bench.file("pace"), Settings(steps=steps, length=LENGTH, save_every=10_000))
        whole(file, orjson.dumps(began.seconds / (steps * LENGTH * 0.9)))
        shutil.rmtree(bench.file("pace"))
    return float(orjson.loads(file.read_bytes()))


def planned(bench: Bench, spent: float, per_exam: float, per_token: float) -> Plan:
    """As many seeds as fit with enough tokens each; then as many tokens as fit. What does not fit is named."""
    file = bench.file("plan.json")
    if file.is_file():
        held = orjson.loads(file.read_bytes())
        return Plan(**{**held, **{k: tuple(held[k]) for k in ("seeds", "arms", "dropped")}})
    left = bench.budget.minutes * 60 - spent
    ways = [(n, len(ARMS), SEED_TOKENS) for n in range(bench.budget.seeds, 1, -1)]
    tokens, seeds, arms = 0, 1, 1
    for seeds, arms, enough in [*ways, *((1, n, ARM_TOKENS) for n in range(len(ARMS), 0, -1))]:
        tokens = int((left / (seeds * arms) - per_exam) / max(per_token, 1e-9))
        if tokens >= enough:
            break
    dropped = [f"seed {n}" for n in range(seeds + 1, bench.budget.seeds + 1)] + [f"the arm {a}" for a in ARMS[arms:]]
    taken = max(2_000, min(tokens, MOST_TOKENS))
    plan = Plan(taken, tuple(range(1, seeds + 1)), ARMS[:arms], tuple(dropped), per_token, per_exam)
    whole(file, orjson.dumps(plan))
    return plan


def one_run(bench: Bench, arm: str, seed: int, rows: Sequence[Row], exam: Exam) -> None:
    """One arm with one seed: trained, examined, its weights removed but for the first taught one."""
    name = f"{arm}-{seed}"
    if bench.file(f"results/{name}.json").is_file():
        return
    folder = bench.file(f"students/{name}")
    bench.say(f"{name}: learns from {len(rows)} rows")
    made = train(rows, bench.base, folder, Settings(seed=seed, length=LENGTH, save_every=100), bench.say)
    bench.file("results").mkdir(exist_ok=True)
    whole(bench.file(f"results/{name}.training.json"), orjson.dumps({**asdict(made), "folder": str(folder)}))
    sat(bench, name, str(folder), exam)
    if name != "taught-1":
        shutil.rmtree(folder / "model")


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────


def prove(folder: Path, paths: Sequence[str], budget: Budget, write_to: Path, say: Say = print, base: str = "local") -> Plan:
    """The whole experiment, from where it stands; the page is written anew after every part."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(folder, same_budget(folder, budget), say, base)
    rows, tasks, exam = matter(bench, paths)
    clean(rows, exam)
    say(f"bank: {len(rows)} rows; exam: {len(exam.items)} items")
    alone = sat(bench, "base", base, exam)
    shots = sat(bench, "base, 3 shots", base, exam, shots=3)
    failed, sound, seconds = own_answers(bench, rows, tasks)
    tokenizer = tokenizer_of(folder_of(base))
    rows, failed = ([r for r in part if tokens_of(r, tokenizer)[0] <= LENGTH] for part in (with_own(rows, sound), failed))
    rate = pace(bench, rows)
    spent = noted(bench) + alone.seconds + shots.seconds + seconds
    plan = planned(bench, spent, alone.seconds * TRAINED, rate)
    left = ", ".join(plan.dropped) or "nothing"
    say(f"{len(plan.seeds)} seeds of {len(plan.arms)} arms, {plan.tokens} tokens each; dropped: {left}")
    for seed in plan.seeds:
        for arm in plan.arms:
            one_run(bench, arm, seed, rows_of_arm(arm, seed, plan, rows, failed, tokenizer), exam)
            write_page(bench, plan, rows, failed, exam, write_to)
    write_page(bench, plan, rows, failed, exam, write_to)
    return plan


def same_budget(folder: Path, budget: Budget) -> Budget:
    """The budget that the experiment in this folder was begun with; this one where it is new."""
    file = folder / "budget.json"
    if not file.is_file():
        whole(file, orjson.dumps(budget))
    held = Budget(**orjson.loads(file.read_bytes()))
    if held != budget:
        raise UserError(f"{folder} was begun with {asdict(held)}, not {asdict(budget)}; finish it so, or remove the folder")
    return held


def clean(rows: Sequence[Row], exam: Exam) -> None:
    """Raises UserError where an item of the exam stands in the rows: a proof with a leak is none."""
    seen = Seen(rows)
    leaks = Counter(why for item in exam.items if (why := seen.leak(item)))
    if leaks:
        raise UserError(f"the exam leaks: {dict(leaks)}; remove the folder and begin anew")


def noted(bench: Bench) -> float:
    return float(orjson.loads(bench.file("matter.json").read_bytes())["seconds"])


def write_page(bench: Bench, plan: Plan, rows: Sequence[Row], failed: Sequence[Row], exam: Exam, into: Path) -> None:
    """The page, from the results that are there."""
    results = {f.name.removesuffix(".json"): read_result(f) for f in sorted(bench.file("results").glob("*.json"))
               if not f.name.endswith(".training.json")}  # fmt: skip
    told = page.slots(results, plan.arms, DOES)
    trainings = [orjson.loads(f.read_bytes()) for f in sorted(bench.file("results").glob("*.training.json"))]
    recorded_rows = sum(r.id.startswith("recorded-") for r in rows)
    own = sum(r.id.startswith("own-") for r in rows)
    seconds = noted(bench) + sum(r.seconds for r in results.values()) + sum(t["seconds"] for t in trainings)
    told |= {
        "plan": asdict(plan),
        "budget": asdict(bench.budget),
        "matter": orjson.loads(bench.file("matter.json").read_bytes()),
        "rows": len(rows),
        "recorded": recorded_rows,
        "own": own,
        "by_code": len(rows) - recorded_rows - own,
        "refined": sum(r.refined for r in rows),
        "failed": len(failed),
        "items": len(exam.items),
        "per_skill": dict(Counter(i.skill for i in exam.items)),
        "documents": len({i.source for i in exam.items}),
        "steps": trainings[0]["steps"] if trainings else 0,
        "trained_on": {f"{t['folder'].rsplit('/', 1)[-1]}": [t["rows"], t["tokens"], t["learnt"]] for t in trainings},
        "minutes": round(seconds / 60),
        "settings": Settings(length=LENGTH),
    }
    text = fill((Path(__file__).with_name("proof.md")).read_text(encoding="utf-8"), told)
    into.parent.mkdir(parents=True, exist_ok=True)
    whole(into, text.rstrip() + "\n")


def main() -> None:
    """The command line of `make proof`."""
    parse = argparse.ArgumentParser(description="Does it teach? The experiment of docs/proof.md.")
    parse.add_argument("--into", type=Path, default=Path("runs/proof"))
    parse.add_argument("--documents", nargs="+", default=["../shared/seeds", "examples/documents"])
    parse.add_argument("--minutes", type=float, default=120)
    parse.add_argument("--seeds", type=int, default=3)
    parse.add_argument("--items", type=int, default=400)
    parse.add_argument("--base", default="local")
    parse.add_argument("--page", type=Path, default=Path("docs/proof.md"))
    given = parse.parse_args()
    try:
        say = partial(print, flush=True)
        prove(given.into, given.documents, Budget(given.minutes, given.seeds, given.items), given.page, say, given.base)
    except PreceptorError as error:
        sys.exit(f"proof: {error}")


if __name__ == "__main__":
    main()
