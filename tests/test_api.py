"""The public names: documented, quick to import, silent on import, and fit to be sent between processes."""

import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import preceptor
from preceptor import errors, types
from preceptor.recipe import recipe_of

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 0.3
HEAVY = (
    "aiohttp",
    "uvloop",
    "pyarrow",
    "pydantic",
    "jinja2",
    "rich",
    "click",
    "sqlite3",
    "xllamacpp",
    "kreuzberg",
    "trafilatura",
    "tantivy",
    "rensa",
    "numpy",
    "py3langid",
    "pydantic_monty",
    "datasets",
    "torch",
    "asyncio",
)
"""What the import of the package alone must not bring along."""
OPTIONAL = tuple(name for name in HEAVY if name not in ("pydantic", "jinja2", "sqlite3", "asyncio", "rich", "click"))
"""What not even the use of every public name may bring along."""


def told(code: str, **env: str) -> str:
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    place = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **env}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=place)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_is_documented_and_nothing_else_is() -> None:
    table = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("|---|---|")[2].partition("\n\n")[0]
    named = {
        name for line in table.splitlines() for name in re.findall(r"`(\w+)[(`]", line.split("|")[1] if "|" in line else "")
    }
    assert named == set(preceptor.__all__)
    assert set(preceptor.WHERE) == set(preceptor.__all__)


@pytest.mark.parametrize("name", preceptor.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(preceptor, name))


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match="there are: Document"):
        preceptor.prodcue  # noqa: B018


def test_importing_the_package_takes_less_than_a_third_of_a_second() -> None:
    """Processor time, best of three, so that a busy machine does not count."""
    code = "import time; before = time.process_time(); import preceptor; print(time.process_time() - before)"
    assert min(float(told(code)) for _ in range(3)) < SECONDS


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = told(f"import sys, preceptor; print([name for name in {HEAVY} if name in sys.modules])")
    assert heavy == "[]"


def test_using_every_public_name_loads_no_optional_library() -> None:
    use = "import sys, preceptor; [getattr(preceptor, name) for name in preceptor.__all__]"
    assert told(f"{use}; print([name for name in {OPTIONAL} if name in sys.modules])") == "[]"


WATCHED = """
import sys
seen = []
def watch(event, args):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.system", "sqlite3.connect"):
        seen.append(event)
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append((event, str(args[0]), args[1]))
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc", ".so", "entry_points.txt")):
        if "preceptor" in args[0].rpartition("/src/")[2]:
            seen.append((event, args[0]))
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import preceptor
%s
print(seen)
"""


def test_importing_opens_no_socket_and_writes_nothing() -> None:
    assert told(WATCHED % "") == "[]"


def test_not_even_the_engine_opens_a_socket_or_writes_when_imported() -> None:
    every = "import preceptor.factory, preceptor.cli, preceptor.engine.run, preceptor.models.openai, preceptor.export"
    loops = [event for event in eval(told(WATCHED % every)) if not str(event).startswith("socket.__new__")]  # noqa: S307
    assert loops == []


DOCUMENT = types.Document("d", "The gate opens at 14:05.", "gate.md")
MATERIAL = types.Material(DOCUMENT, "identity", DOCUMENT.text, {"plan": [1, "a"]})
TASK = types.Instruction(MATERIAL, "arrival", "When?", gold=types.Gold("text", "14:05"), options=(types.Option("a"),))
VERDICT = types.Verdict("same_time", "pass", decides=True)
DRAFT = types.Draft("At 14:05.", "answerer", {"final": "14:05"}, verdicts=(VERDICT,))
EXAMPLE = types.Example(TASK, "At 14:05.", ({"role": "user", "content": "When?"},), drafts=(DRAFT,), verdicts=(VERDICT,))
AGENT = types.Agent("s/4_respond/answer", "{{ task }}", fields=(types.Field("final", of=types.Field("entry")),))
VALUES = (
    DOCUMENT, MATERIAL, TASK, VERDICT, DRAFT, EXAMPLE, AGENT, TASK.options[0], TASK.gold, types.Style(), AGENT.fields[0],
    types.Dropped(TASK, "refine", "no way"), types.Trace("refine", TASK, (TASK,)), types.Produced((EXAMPLE,)),
    types.Call("f", {"a": 1}), types.Reply("text"), types.Request("a", ()), types.Completion("text"),
    recipe_of({"teacher": "local", "skills": ["reading_comprehension"]}), preceptor.Run(Path("runs/x")),
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_everything_that_flows_can_be_sent_between_processes(value: object) -> None:
    again = pickle.loads(pickle.dumps(value))  # noqa: S301
    assert again == value


ERRORS = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, errors.PreceptorError)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_every_error_can_be_sent_is_explained_and_has_an_exit_code(error: type[errors.PreceptorError]) -> None:
    again = pickle.loads(pickle.dumps(error("what was asked, what there is")))  # noqa: S301
    assert type(again) is error
    assert str(again) == "what was asked, what there is"
    assert inspect.getdoc(error)
    assert 1 <= error.exit_code <= 10 or error.exit_code in (65, 74, 75)
    if error is not errors.PreceptorError:
        assert f" {error.__name__} " in (errors.__doc__ or ""), "the tree in errors.py leaves it out"


def test_a_skill_is_the_same_wherever_it_is_loaded() -> None:
    """A skill holds code and is loaded by name, not sent: its fingerprint says that two are the same."""
    code = "import preceptor; print(preceptor.load_skill('reading_comprehension').fingerprint)"
    assert told(code) == told(code, PYTHONHASHSEED="7") == preceptor.load_skill("reading_comprehension").fingerprint
