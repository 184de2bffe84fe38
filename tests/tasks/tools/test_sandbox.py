"""The sandbox under programs that try to get out, to fill the machine, or not to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.tools import isolation
from tasks.tools.isolation import REFUSED, UNSAFE, WITH_FILTER, WITHOUT_FILTER, Tier, detect_tier
from tasks.tools.sandbox import LONGEST_PROGRAM, Sandbox
from tasks.tools.verdict import SandboxLimits

LIMITS = SandboxLimits(wall_s=8.0, cpu_s=1.0, memory_mb=256, file_mb=2, scratch_mb=4)

shut_in = pytest.mark.skipif(
    detect_tier().name != WITH_FILTER, reason=f"no sandbox here: {detect_tier().sentence}"
)


def box(**changes: object) -> Sandbox:
    limits = {name: getattr(LIMITS, name) for name in SandboxLimits.__slots__} | changes
    return Sandbox(SandboxLimits(**limits))


def children() -> set[int]:
    """Pids of this process's children, zombies included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread that ends between the listing and the reading takes its file along; the
        # children that it started pass to another thread of this process.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found |= set(map(int, (task / "children").read_text().split()))
    return found


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def has_ended(pid: str) -> bool:
    """Whether a process is gone, or a zombie that its new parent has yet to bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@shut_in
async def test_output_and_the_last_value_come_back() -> None:
    result = await box().run("x = 20\nprint('hello')\nx + 1")

    assert (
        result.ok,
        result.output,
        result.exit_code,
        result.error_type,
    ) == (True, "hello\n21\n", 0, None)
    assert result.tier == WITH_FILTER


@shut_in
@pytest.mark.parametrize(
    ("program", "kind", "where", "cause"),
    [
        ("x = 1\n\nx / 0", "error", "line 3", "ZeroDivisionError: division by zero"),
        ("def f(:\n  pass", "error", "line 1", "SyntaxError: invalid syntax"),
        ("def f():\n  raise KeyError('k')\n\nf()", "error", "line 2", "KeyError: 'k'"),
        ("import numpy", "error", "line 1", "ModuleNotFoundError: No module named 'numpy'"),
        ("class E(Exception):\n  __str__ = 1\nraise E", "error", "line 3", "E"),
        ("raise SystemExit(7)", "exit", None, "exit code 7"),
        ("exit(7)", "exit", None, "exit code 7"),
        ("raise SystemExit('no luck')", "exit", None, "exit code 1: no luck"),
        ("import os; os.kill(os.getpid(), 11)", "crashed", None, "ended by signal 11 (SIGSEGV)"),
        ("input()", "error", "line 1", "EOFError: EOF when reading a line"),
    ],
)
async def test_a_failure_says_where_and_why(program, kind, where, cause) -> None:
    result = await box().run(program)

    assert (False, kind, where, cause) == (
        result.ok,
        result.error_type,
        result.error_where,
        result.error_cause,
    )
    assert result.program_ran


@shut_in
@pytest.mark.parametrize(
    "program",
    [
        pytest.param("print(open('/etc/passwd').read())", id="host file"),
        pytest.param("import os; print(os.listdir('/root'))", id="home of root"),
        pytest.param("import os; print(os.listdir('/home'))", id="homes"),
        pytest.param("print(open('/proc/self/environ').read())", id="own environment"),
        pytest.param("print(open('/proc/1/cmdline').read())", id="processes"),
        pytest.param("import os; print(os.listdir('/sys'))", id="devices"),
        pytest.param("open('/usr/bin/x', 'w')", id="write to /usr"),
        pytest.param("open('/x', 'w')", id="write to the root folder"),
        pytest.param("open('/dev/shm/x', 'w')", id="write to shared memory"),
        pytest.param("open('/dev/mem', 'rb')", id="memory device"),
        pytest.param("import os; os.remove('/usr/bin/python3')", id="remove"),
        pytest.param("import os; os.mknod('/tmp/d', 0o60600, 1)", id="make a device"),
        pytest.param("import os; os.chroot('/tmp')", id="chroot"),
        pytest.param("import os; os.fork()", id="fork"),
        pytest.param("import subprocess; subprocess.run(['/bin/true'])", id="subprocess"),
        pytest.param("import os; os.posix_spawn('/bin/true', ['true'], {})", id="spawn"),
        pytest.param("import os; os.system('true') and 1/0", id="system"),
        pytest.param("import socket; socket.socket()", id="socket"),
        pytest.param("import socket; socket.create_connection(('127.0.0.1', 80))", id="connect"),
        pytest.param(
            "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)", id="unix socket"
        ),
        pytest.param("import socket; socket.getaddrinfo('example.com', 80)", id="name look-up"),
        pytest.param("import os; os.memfd_create('x')", id="memory outside the limit"),
        pytest.param(
            "import resource as r; r.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)",
            id="raise a limit",
        ),
        pytest.param("import os; os.setpriority(os.PRIO_PROCESS, 0, -20)", id="priority"),
    ],
)
async def test_the_walls_hold(program: str) -> None:
    result = await box().run(program)

    assert (result.ok, result.error_type) == (False, "error"), result
    assert result.output == ""


@shut_in
@pytest.mark.parametrize(
    ("name", "number"), [("ptrace", 101), ("mount", 165), ("unshare", 272), ("setns", 308),
                         ("keyctl", 250), ("bpf", 321), ("userfaultfd", 323),
                         ("io_uring_setup", 425), ("shmget", 29)],
)  # fmt: skip
async def test_raw_system_calls_are_denied(name: str, number: int) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86_64")
    result = await box().run(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )

    assert result.output == "-1 1\n"


@shut_in
async def test_the_environment_is_empty_and_secrets_stay_out(monkeypatch) -> None:
    monkeypatch.setenv("ATLAS_TEST_KEY", "sk-very-secret")
    result = await box().run("import os; print(dict(os.environ)); print(os.environb)")

    assert "{}" in result.output
    assert "secret" not in result.output


@shut_in
async def test_only_the_scratch_folder_can_be_written() -> None:
    result = await box().run(
        "import os\nopen('/tmp/a', 'w').write('x')\nprint(os.listdir('/tmp'), os.getcwd())"
    )

    assert result.output == "['a'] /tmp\n"


@shut_in
async def test_runs_do_not_see_each_other() -> None:
    sandbox = box()
    await sandbox.run("open('/tmp/left', 'w').write('x')")
    result = await sandbox.run("import os; print(os.listdir('/tmp'))")

    assert result.output == "[]\n"


@shut_in
@pytest.mark.parametrize(
    ("program", "kinds"),
    [
        pytest.param("while True: pass", {"timeout"}, id="loop"),
        pytest.param("x = [0] * 10**9", {"memory"}, id="memory at once"),
        pytest.param("x = []\nwhile True: x.append(bytes(10**6))", {"memory"}, id="memory slowly"),
        pytest.param("while True: print('x' * 10**5)", {"output_limit"}, id="output"),
        pytest.param(
            "import sys\nwhile True: sys.stderr.write('x' * 10**5)", {"output_limit"}, id="errors"
        ),
        pytest.param(
            "f = open('/tmp/f', 'wb')\nwhile True: f.write(bytes(10**5))",
            {"output_limit"},
            id="one file",
        ),
        pytest.param(
            "for i in range(10**6): open(f'/tmp/{i}', 'wb').write(bytes(10**6))",
            {"error"},
            id="many files",
        ),
        pytest.param("f = [open('/dev/null') for _ in range(10**4)]", {"error"}, id="descriptors"),
        pytest.param("import os\nwhile True: os.fork()", {"error"}, id="fork bomb"),
        pytest.param(
            "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
            {"timeout"},
            id="stubborn fork bomb",
        ),
        pytest.param(
            "import signal\nfor s in set(signal.Signals) - {9, 19}:\n  signal.signal(s, "
            "signal.SIG_IGN)\nwhile True: pass",
            {"timeout"},
            id="deaf to signals",
        ),
        pytest.param("def f(): f()\nf()", {"error"}, id="recursion"),
        pytest.param("(" * 5000 + ")" * 5000, {"error", "memory"}, id="nesting"),
        pytest.param("print(9**9**9)", {"timeout", "error", "memory"}, id="tower of powers"),
        pytest.param("import os\nos.close(1)\nprint('x')", {"error"}, id="no output"),
    ],
)
async def test_bombs_end_within_the_limit(program: str, kinds: set[str]) -> None:
    result = await box().run(program)

    assert not result.ok
    assert result.error_type in kinds, result
    assert len(result.output) <= LIMITS.output_chars + 100
    assert set() == children()


@shut_in
@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import time; time.sleep(60)", id="sleep"),
        pytest.param(
            "import threading, time\n"
            "while True: threading.Thread(target=time.sleep, args=(60,)).start()",
            id="thread bomb",
        ),
        pytest.param("import threading; threading.Event().wait()", id="wait for nothing"),
    ],
)
async def test_idle_programs_end_at_the_wall_limit(program: str) -> None:
    result = await box(wall_s=0.8).run(program)

    assert ("timeout", "stopped after 0.8 s of real time") == (
        result.error_type,
        result.error_cause,
    )
    assert result.duration_s < 30
    assert set() == children()


@shut_in
async def test_killing_every_process_in_sight_hurts_only_the_program() -> None:
    result = await box().run(
        "import os\nfor target in (os.getppid(), 1):\n"
        "  try: os.kill(target, 9)\n  except OSError: pass\nos.kill(-1, 9)"
    )

    assert result.program_ran
    assert (await box().run("print('still here')")).ok


@shut_in
async def test_what_the_report_descriptor_is_fed_cannot_fake_success_or_raise() -> None:
    result = await box().run(
        "import os\nfor fd in range(3, 64):\n"
        "  try: os.write(fd, b'[[[not json' * 1000)\n  except OSError: pass\n1/0"
    )

    assert not result.ok


@shut_in
async def test_long_output_keeps_its_beginning_and_its_end() -> None:
    result = await box(output_chars=300).run("for i in range(1000): print(i)")

    assert result.ok
    assert result.truncated
    assert result.output.startswith("0\n1\n2\n")
    assert result.output.endswith("998\n999\n")
    assert "characters left out" in result.output
    assert len(result.output) < 360


@shut_in
async def test_odd_texts_pass_through() -> None:
    result = await box().run(
        "print('é∑😀', repr('\\x00'), '\\ud800')\nprint(input())", stdin="né\n"
    )

    assert result.output == "é∑😀 '\\x00' \\ud800\nné\n"


@shut_in
@pytest.mark.parametrize("program", ["print('\ud800')", "x = '\x00'", "\ufeffprint(1)", ""])
async def test_odd_programs_never_raise(program: str) -> None:
    result = await box().run(program)

    assert result.program_ran


@shut_in
async def test_a_program_too_long_is_refused_unread() -> None:
    result = await box().run("#" * (LONGEST_PROGRAM + 1))

    assert (result.error_type, result.exit_code) == ("too_long", None)


@shut_in
async def test_ordinary_programs_find_what_they_need() -> None:
    result = await box(wall_s=10, cpu_s=8).run(
        "import asyncio, collections, dataclasses, datetime, decimal, fractions, itertools, json\n"
        "import math, random, re, statistics, string, threading, zoneinfo\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "@dataclasses.dataclass\nclass P:\n  x: int\n"
        "async def one(): return 1\n"
        "with ThreadPoolExecutor(2) as pool: total = sum(pool.map(abs, [-1, 2]))\n"
        "if __name__ == '__main__': print(asyncio.run(one()), total, P(2), decimal.Decimal(1) / 7)"
    )

    assert result.output == "1 3 P(x=2) 0.1428571428571428571428571429\n"


@shut_in
async def test_sets_of_strings_come_out_the_same_every_time() -> None:
    sandbox = box()
    program = "print(set('abcdefghij'))"

    assert (await sandbox.run(program)).output == (await sandbox.run(program)).output


@shut_in
async def test_cancelling_kills_the_program_and_leaves_no_zombie() -> None:
    task = asyncio.create_task(box(wall_s=30).run("while True: pass"))
    while not children():  # noqa: ASYNC110 - nothing announces a child of a child
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    for _ in range(3000):
        if not children():
            break
        await asyncio.sleep(0.01)
    assert set() == children()
    assert {asyncio.current_task()} == asyncio.all_tasks()


@shut_in
async def test_no_more_programs_run_at_a_time_than_allowed() -> None:
    sandbox = Sandbox(LIMITS, concurrency=2)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(children()))
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(sandbox.run("import time; time.sleep(0.1)") for _ in range(6)))
    watcher.cancel()

    assert most == 2


@shut_in
async def test_no_descriptor_is_leaked() -> None:
    sandbox = box()
    await sandbox.run("1")
    before = open_descriptors()
    for _ in range(5):
        await sandbox.run("1/0")

    assert before == open_descriptors()


def test_the_program_dies_with_us() -> None:
    if detect_tier().name != WITH_FILTER:
        pytest.skip("no sandbox here")
    script = (
        "import asyncio\nfrom tasks.tools.sandbox import Sandbox, SandboxLimits\n"
        "asyncio.run(Sandbox(SandboxLimits(wall_s=60)).run('import time; time.sleep(60)'))"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    grandchild: list[str] = []
    for _ in range(6000):
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        grandchild = path.read_text().split()
        if grandchild and "bwrap" in Path(f"/proc/{grandchild[0]}/cmdline").read_text():
            break
        time.sleep(0.01)
    process.kill()
    process.wait()

    for _ in range(3000):
        if has_ended(grandchild[0]):
            break
        time.sleep(0.01)
    assert has_ended(grandchild[0])


async def test_without_a_sandbox_every_run_is_refused_with_a_sentence() -> None:
    sandbox = Sandbox(LIMITS, tier=Tier(REFUSED, "there is no sandbox; do this"))
    result = await sandbox.run("print(1)")

    assert (
        result.error_type,
        result.error_cause,
        result.exit_code,
    ) == ("sandbox_refused", "there is no sandbox; do this", None)
    assert not result.program_ran


async def test_a_sandbox_that_cannot_start_is_not_the_programs_fault() -> None:
    missing = Tier(WITHOUT_FILTER, "", bwrap="/nonexistent/bwrap")
    broken = Tier(WITHOUT_FILTER, "", bwrap="/bin/false")

    for tier in (missing, broken):
        result = await Sandbox(LIMITS, tier=tier).run("print(1)")
        assert (result.error_type, result.program_ran) == ("sandbox_failed", False)


def test_where_nothing_works_the_sentence_says_what_to_do(monkeypatch) -> None:
    isolation._probe_tiers.cache_clear()
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    refused, unsafe = detect_tier(), detect_tier(unsafe=True)
    isolation._probe_tiers.cache_clear()

    assert (refused.name, unsafe.name) == (REFUSED, UNSAFE)
    assert not refused.usable
    assert "bubblewrap was not found" in refused.sentence
    assert "`unsafe: true`" in refused.sentence
    assert "UNPROTECTED" in unsafe.sentence


def test_consent_does_not_weaken_a_sandbox_that_works() -> None:
    assert detect_tier() == detect_tier(unsafe=True) or detect_tier().name == REFUSED


@shut_in
def test_the_running_interpreter_works_inside_too_without_its_packages() -> None:
    bwrap = isolation.find_bwrap()
    own = isolation._own_interpreter()
    tier = isolation._tier(WITH_FILTER, bwrap, own)

    assert isolation._probe(tier) is None


@shut_in
async def test_a_processor_without_a_filter_still_gets_namespaces() -> None:
    bwrap = isolation.find_bwrap()
    tier = isolation._tier(WITHOUT_FILTER, bwrap, isolation._interpreters()[0])
    sandbox = Sandbox(LIMITS, tier=tier)

    assert (await sandbox.run("print(2)")).output == "2\n"
    assert not (await sandbox.run("open('/etc/passwd')")).ok
    refused = await sandbox.run("import socket; socket.create_connection(('127.0.0.1', 80), 1)")
    assert not refused.ok


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("print(2)", None),
        ("1/0", "error"),
        ("while True: pass", "timeout"),
        ("x = [0] * 10**9", "memory"),
        ("while True: print('x' * 10**5)", "output_limit"),
    ],
)
async def test_unprotected_programs_keep_their_limits(program: str, kind: str | None) -> None:
    if sys.platform != "linux":
        pytest.skip("limits are enforced on Linux")
    limits = replace(LIMITS, wall_s=3)
    result = await Sandbox(limits, tier=Tier(UNSAFE, "by consent")).run(program)

    assert (kind, "unsafe") == (result.error_type, result.tier)


async def test_unprotected_children_do_not_outlive_the_run() -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    program = (
        "import os, subprocess\n"
        "print(subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL).pid)"
    )
    result = await Sandbox(LIMITS, tier=Tier(UNSAFE, "by consent")).run(program)
    if not result.ok:
        pytest.skip("this user has too many processes for another")
    pid = result.output.strip()

    for _ in range(2500):
        if has_ended(pid):
            break
        await asyncio.sleep(0.01)
    assert has_ended(pid)
