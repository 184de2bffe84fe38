"""What routing and profiling are both told."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from tasks.batch.spec import BatchSettings
from tasks.version import code_version


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What every job of a batch run is told; `flows.settings` documents each field for users."""

    pool: Path
    root: Path
    max_cost_usd: Decimal | None = None
    allow_unpriced: bool = False
    chunk_size: int = 500
    concurrency: int = 64
    in_doubt: Literal["resend", "hold"] = "resend"
    limit: int | None = None
    name: str | None = None
    encoder: str = "minilm"
    encoder_dtype: str = "float32"
    seed: int = 0
    flow_run_id: str | None = None

    def batch_settings(self, **of_run: Any) -> BatchSettings:  # noqa: ANN401
        """Settings of the batch run: what this job says, and `of_run` what its kind adds."""
        return BatchSettings(
            root=self.root,
            code_version=code_version(),
            max_cost_usd=self.max_cost_usd,
            concurrency=self.concurrency,
            resend=self.in_doubt == "resend",
            seed=self.seed,
            flow_run_id=self.flow_run_id,
            **of_run,
        )
