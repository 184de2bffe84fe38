"""Train a language policy on a table of recorded outcomes, and measure it on what it did not see.

    python -m tasks.learn.language_policy.command TABLE --out FOLDER

TABLE is a folder of `queries.parquet` and `outcomes.parquet` with recorded answers, as for
`atlas evaluate`. The policy is trained on split `train`, played on the other splits, written under
FOLDER and, with `--mlflow-uri`, tracked and registered. Every number of `LanguageSettings` is an
option of the same name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.learn.language_policy.libraries import LanguagePolicyError, check_libraries
from tasks.learn.language_policy.settings import LanguageSettings

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.evaluate.table import OutcomeTable
    from tasks.learn.language_policy.policy_folder import LanguagePolicy
    from tasks.learn.language_policy.questions import RecordedQuestions
    from tasks.tracking.base import Status

_KINDS = {"str": str, "str | None": str, "int": int, "float": float, "float | None": float}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where a policy was written, 1 where not, with a sentence why."""
    given = _parser().parse_args(arguments)
    try:
        _train(given)
    except Exception as error:
        if not isinstance(error, (LanguagePolicyError, *_others())):
            raise
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("table", type=Path, help="folder of queries.parquet and outcomes.parquet")
    parser.add_argument("--out", type=Path, required=True, help="the policy is written under it")
    parser.add_argument(
        "--keep-every", type=int, default=0, metavar="STEPS", help="also write it on the way"
    )
    parser.add_argument("--pool", type=Path, help="pool file that describes models and tools")
    parser.add_argument("--mlflow-uri", help="track and register there")
    parser.add_argument("--artifacts", type=Path, default=Path("mlruns/artifacts"))
    for one in fields(LanguageSettings):
        kind = _KINDS.get(str(one.type))
        if kind is not None:
            parser.add_argument(
                f"--{one.name.replace('_', '-')}", type=kind, default=one.default, metavar="X"
            )
    return parser


def _train(given: argparse.Namespace) -> None:
    check_libraries()
    from profiles.pool_file import load_pool
    from tasks.evaluate.table import TRAIN, read_table
    from tasks.learn.language_policy.policy_folder import write_language_policy
    from tasks.learn.language_policy.questions import read_questions
    from tasks.learn.language_policy.train import train_language_policy
    from tasks.tracking import Tracker
    from tasks.tracking.runs import EXPERIMENT

    numbers = {f.name: getattr(given, f.name) for f in fields(LanguageSettings) if f.name in given}
    settings = LanguageSettings(**numbers)
    table = read_table(given.table, needs_test=False)
    pool = load_pool(given.pool) if given.pool else None
    splits = read_questions(table)
    tracker = Tracker(given.mlflow_uri, given.artifacts) if given.mlflow_uri else None
    run = ""
    if tracker is not None:
        told = {**numbers, "table": table.name, "table_sha256": table.sha256}
        run = tracker.start(EXPERIMENT, f"language-{table.name}", told, {"kind": "language"})

    def record(metrics: Mapping[str, float], step: int) -> None:
        _say(f"step {step}: " + ", ".join(f"{k} {metrics[k]:.3g}" for k in _SHOWN if k in metrics))
        if tracker is not None:
            tracker.log(run, metrics, step)

    status: Status = "FAILED"
    try:
        policy = train_language_policy(
            splits[TRAIN],
            settings,
            pool=pool,
            record=record,
            keep=lambda kept, step: _say(
                f"step {step} written: {write_language_policy(kept, given.out)}"
            ),
            keep_every=given.keep_every,
            say=_say,
        )
        folder = write_language_policy(policy, given.out)
        _say(f"written: {folder}")
        results = {
            split: _measured(policy, questions, splits[TRAIN])
            for split, questions in splits.items()
            if split != TRAIN
        }
        sys.stdout.write(json.dumps({"policy": folder.name, "results": results}, indent=2) + "\n")
        if tracker is not None:
            flat = {f"{split}/{k}": v for split, one in results.items() for k, v in one.items()}
            tracker.log(run, flat, settings.steps)
            _register(given, folder, run, table, pool, results)
        status = "FINISHED"
    finally:
        if tracker is not None:
            tracker.finish(run, status)


_SHOWN = ("policy/reward", "policy/R_fmt", "policy/R_out", "policy/calls", "kl", "step_time")


def _measured(
    policy: LanguagePolicy, questions: RecordedQuestions, train: RecordedQuestions
) -> dict[str, float]:
    """What a policy reaches, beside the pair that was best in training."""
    import numpy as np

    from tasks.learn.language_policy.played import play_language_policy

    best = int(np.nan_to_num(train.scores).mean(axis=0).argmax())
    return {
        "questions": float(len(questions)),
        **play_language_policy(policy, questions).measures(),
        "best_single_accuracy": float(np.nan_to_num(questions.scores[:, best]).mean()),
        "best_single_cost": float(questions.costs[:, best].mean()),
    }


def _register(
    given: argparse.Namespace,
    folder: Path,
    run: str,
    table: OutcomeTable,
    pool: Pool | None,
    results: Mapping[str, Any],
) -> None:
    from tasks.learn.language_policy.registered import LanguageRegistry

    version = LanguageRegistry(given.mlflow_uri, given.artifacts).register_folder(
        folder,
        run_id=run,
        card={"table": table.name, "data": {"table": table.sha256}, "results": results},
        pool_fingerprint=pool.fingerprint if pool else "",
    )
    _say(f"registered: {version.name} version {version.version}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _others() -> tuple[type[Exception], ...]:
    """Errors of what the command uses, which are sentences already."""
    from profiles.errors import KnowledgeError
    from tasks.call.recorded import RecordedTableError
    from tasks.registry.versions import RegistryError

    return KnowledgeError, RecordedTableError, RegistryError


if __name__ == "__main__":
    sys.exit(main())
