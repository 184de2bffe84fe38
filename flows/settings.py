"""What a user can set, once, for the flows and the `atlas` command alike.

A value is looked for in this order: the flag on the command line, the `ATLAS_*` variable of the
environment, the YAML file of `--config`, the default here. `flows.settings_sources.load` does the
looking; whatever it refuses, it refuses before the first paid call.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from flows.setting_types import Clusters
from tasks.tracking.redaction import without_secrets

Runner = Literal["plain", "prefect"]
When = Literal["auto", "always", "never"]
Dtype = Literal["float32", "bfloat16"]


T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class HomeSettings(BaseModel):
    """Where everything is kept, and how runs present themselves."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A verb needs one of the four kinds: the others are never built.
        defer_build=True,
    )

    section: ClassVar[str] = ""
    """Section of the YAML file that holds the fields a class adds to these."""
    identity_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that decide what is asked and answered; a resumed run must repeat them."""
    resolved_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that name a thing whose content, not whose name, is part of a run's identity."""
    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"root", "mlflow_uri", "artifacts", "tracking", "runner", "color", "progress"}
    )
    """Fields that may differ when a run is resumed."""

    root: Path = Path("warehouse/data")
    """Folder of the Parquet tables and of the ledger."""
    mlflow_uri: str = "sqlite:///mlruns/mlflow.db"
    """MLflow tracking store: a SQLAlchemy address, or the http(s) address of a server."""
    artifacts: str = "mlruns/artifacts"
    """Folder or address where MLflow keeps figures and files; a server uses its own."""
    tracking: bool = True
    """Whether runs are logged to MLflow."""
    runner: Runner = "prefect"
    """`prefect` shows flows and chunks in Prefect's UI; `plain` runs the same code without it."""
    color: When = "auto"
    """Colour on the terminal: `auto` uses it where standard error is one."""
    progress: When = "auto"
    """Progress on standard error: `auto` is a live line on a terminal, plain lines elsewhere."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and field.annotation is not bool:
            raise ValueError("true and false are no value for this field")
        return value

    @field_serializer("mlflow_uri", "artifacts", when_used="json")
    def _without_password(self, address: str) -> str:
        # Prefect keeps the parameters of a flow as JSON and shows them to everybody.
        return without_secrets(address)

    def identity(self) -> dict[str, Any]:
        """The settings that are part of a run's identity, as JSON values."""
        return self.model_dump(mode="json", include=set(self.identity_fields))

    def public(self) -> dict[str, str]:
        """Every setting as text, fit for logs: user and password are cut out of addresses."""
        return {name: without_secrets(str(value)) for name, value in self.model_dump().items()}


class _RunSettings(HomeSettings):
    """What every paid batch run can be told."""

    runtime_fields: ClassVar[frozenset[str]] = HomeSettings.runtime_fields | {
        "max_cost_usd", "allow_unpriced", "concurrency", "in_doubt", "fail_on_error", "name",
    }  # fmt: skip

    pool: Path = Path("pool.yaml")
    """The pool file: models, tools, allowed pairs, prices."""
    max_cost_usd: Decimal | None = Field(default=None, ge=0)
    """Dollars this run may cost at most; reached, it stops cleanly with exit code 3."""
    allow_unpriced: bool = False
    """Use pairs whose price is unknown; what they cost is then counted nowhere."""
    chunk_size: int = Field(default=500, ge=1, le=100_000)
    """Rows worked, committed and retried together."""
    concurrency: int = Field(default=64, ge=1, le=10_000)
    """Requests in flight over all models; each model's own limit applies beside it."""
    in_doubt: Literal["resend", "hold"] = "resend"
    """What to do with requests whose fate a crash left unknown: send once more, or leave."""
    fail_on_error: float = Field(default=0.1, ge=0, le=1)
    """Share of failed rows above which the run ends with exit code 4."""
    limit: int | None = Field(default=None, ge=1)
    """Take only so many rows, from the first on."""
    name: str | None = None
    """Name of the run; without one it follows from the input and the settings."""
    encoder: str = "minilm"
    """Sentence encoder: `minilm` (embedded), `hashing`, or a sentence-transformers model name."""
    encoder_dtype: Dtype = "float32"
    """Number format of the encoder's weights; part of its fingerprint."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(
                "a run's name has 1 to 128 letters, digits, dots, dashes and underscores and "
                "starts with a letter or digit"
            )
        return name


class RouteSettings(_RunSettings):
    """`atlas route` and `atlas plan`: a backlog through a router."""

    section: ClassVar[str] = "route"
    identity_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "router", "alpha", "chunk_size", "limit", "encoder", "encoder_dtype", "seed",
            "explore", "explorer", "explore_band", "price", "max_cost_per_query_usd",
        }
    )  # fmt: skip
    resolved_fields: ClassVar[frozenset[str]] = frozenset({"backlog", "pool", "profile", "policy"})

    backlog: str
    """The questions: a file, a folder or a glob of JSONL, CSV or Parquet."""
    router: str = Field(default="auto", min_length=1)
    """Router that chooses each question's pair: `auto` takes the one that did best in training."""
    profile: str = Field(default="latest", min_length=1)
    """Id of the profile to route by, or `latest`."""
    alpha: float = Field(default=0.0, ge=0, le=1)
    """Weight of cost against accuracy: 0 asks for the best answer, 1 for the cheapest."""
    explore: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions whose pair is drawn at random, so that other routers can be judged."""
    explorer: Literal["epsilon", "thompson"] = "epsilon"
    """How: uniformly among pairs of nearly the best utility, or as often as each may be best."""
    explore_band: float = Field(default=0.02, ge=0, le=1)
    """Utility below the best one's at which a pair is still drawn: 0.02 is two points."""
    policy: str | None = Field(default=None, min_length=1)
    """Multi-step policy: champion, challenger, a version, its id, or a folder such as ./mine."""
    price: float | None = Field(default=None, gt=0)
    """With a policy: share of accuracy that a unit of cost must earn; 0.01 where none is given."""
    max_cost_per_query_usd: Decimal | None = Field(default=None, gt=0)
    """With a policy: take the smallest price at which a question is expected to cost no more."""

    @field_validator("policy")
    @classmethod
    def _without_one_step_knobs(cls, policy: str | None, info: ValidationInfo) -> str | None:
        if policy is not None and info.data.get("alpha"):
            raise ValueError(
                "a policy weighs cost by its price: leave alpha out, and give --price or "
                "--max-cost-per-query"
            )
        if policy is not None and info.data.get("explore"):
            raise ValueError("pairs are drawn for one-step routers only: leave explore out")
        return policy

    @field_validator("price", "max_cost_per_query_usd")
    @classmethod
    def _of_a_policy(cls, value: T, info: ValidationInfo) -> T:
        if value is None:
            return value
        if "policy" in info.data and info.data["policy"] is None:
            raise ValueError("only a policy has a price: name it too, such as --policy champion")
        if info.data.get("price") is not None:
            raise ValueError("--price says it already: leave out one of the two")
        return value


class ProfileSettings(_RunSettings):
    """`atlas profile run`: every pair of a pool on labelled questions."""

    section: ClassVar[str] = "profile"
    identity_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "chunk_size", "limit", "encoder", "encoder_dtype", "seed", "clusters", "budget",
            "max_age", "half_life", "with_feedback", "retry_failed",
        }
    )  # fmt: skip
    resolved_fields: ClassVar[frozenset[str]] = frozenset({"questions", "pool"})

    questions: str
    """The labelled questions: a file, a folder or a glob of JSONL, CSV or Parquet."""
    clusters: Clusters = "auto"
    """Number of clusters; `auto` takes the one that routes best on training rows left out."""
    budget: str | None = None
    """Spend this much on the cells that decide most: `5.00` dollars, or `25%` of the cells."""
    max_age: str | None = None
    """Run cells again whose answer is older, such as `30d`; without it none grows old."""
    half_life: str | None = None
    """Let an outcome count half after this time, such as `60d`; without it all count alike."""
    with_feedback: bool = False
    """Fold graded rows of past backlogs in, as far as their propensities allow it."""
    retry_failed: bool = False
    """Try cells again that failed in three runs already; without it they are left alone."""

    @field_validator("budget")
    @classmethod
    def _an_amount(cls, budget: str | None) -> str | None:
        from tasks.profiling.amounts import parse_budget

        if budget is not None:
            parse_budget(budget)
        return budget

    @field_validator("max_age", "half_life")
    @classmethod
    def _an_age(cls, age: str | None) -> str | None:
        from tasks.profiling.amounts import parse_age

        if age is not None:
            parse_age(age)
        return age


class RefreshSettings(ProfileSettings):
    """`atlas refresh`: what is new, stale or due; drift; a new version if it is not worse."""

    section: ClassVar[str] = "refresh"
    runtime_fields: ClassVar[frozenset[str]] = ProfileSettings.runtime_fields | {
        "canaries", "first_night_runs", "alpha", "gate_margin", "train", "price",
    }  # fmt: skip

    canaries: int = Field(default=50, ge=0, le=10_000)
    """Questions that every pair is asked again each night; 0 watches for no drift."""
    first_night_runs: int = Field(default=5, ge=1, le=100)
    """How often new canaries are asked on their first night: a longer record to test by."""
    alpha: float = Field(default=0.0, ge=0, le=1)
    """Weight of cost in the utility by which the gate compares versions."""
    gate_margin: float = Field(default=0.02, ge=0, le=1)
    """Loss of utility that the gate lets pass."""
    train: bool = False
    """Train a policy on the knowledge in use, and promote it if it is measurably better."""
    price: float | None = Field(default=None, gt=0)
    """Share of accuracy that a unit of cost must earn where policies are judged; else 0.01."""


class EvaluateSettings(HomeSettings):
    """`atlas evaluate`: routers on a table of recorded outcomes."""

    section: ClassVar[str] = "evaluate"
    identity_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "routers", "alpha", "clusters", "seed", "kmeans_seed", "encoder", "encoder_dtype",
            "cells", "sampler", "leave_out", "max_calls", "max_cost_per_query_usd", "off_policy",
        }
    )  # fmt: skip
    resolved_fields: ClassVar[frozenset[str]] = frozenset({"directory", "profile"})
    runtime_fields: ClassVar[frozenset[str]] = HomeSettings.runtime_fields | {"keep"}

    directory: Path
    """Folder with `queries.parquet` and `outcomes.parquet`; a routed run with --off-policy."""
    off_policy: bool = False
    """Whether routers are valued on a run's decisions: its id, or a warehouse folder, is given."""
    profile: str | None = Field(default=None, min_length=1)
    """With --off-policy: id of the profile they decide by, or `latest`; else the run's own."""
    routers: tuple[str, ...] = Field(
        default=("random", "best-single", "dataset-best", "cluster-plain", "cluster", "predictor",
                 "auto", "knn", "oracle"),
        min_length=1,
    )  # fmt: skip
    """Routers to compare, by name; in the environment separated by commas."""
    alpha: float = Field(default=0.0, ge=0, le=1)
    """Weight of cost against accuracy, for the routers that know it."""
    clusters: Clusters = 8
    """Number of clusters; `auto` takes the one that routes best on training rows left out."""
    cells: float = Field(default=1.0, gt=0, le=1)
    """Share of the training cells (question, pair) to learn from."""
    sampler: Literal["adaptive", "queries", "cells"] = "adaptive"
    """Which cells: where they decide most, whole questions, or single cells, both at random."""
    leave_out: str | None = Field(default=None, min_length=1)
    """Dataset to learn nothing from; all its rows are scored as split `left_out`."""
    max_calls: float | None = Field(default=None, gt=0)
    """Mean calls a question; multi-step routers choose their price on train to keep within."""
    max_cost_per_query_usd: Decimal | None = Field(default=None, gt=0)
    """Mean dollars a question; multi-step routers choose their price on train to keep within."""
    seed: int = Field(default=0, ge=0)
    """Seed of random draws, of the product's KMeans, and of the sampler."""
    kmeans_seed: int = Field(default=42, ge=0, lt=2**32)
    """Seed of the KMeans of `cluster-plain`; the published figures have 42."""
    keep: Path | None = None
    """Folder that keeps the routed backlogs; the same command then resumes. Else none is kept."""
    encoder: str = "minilm"
    """Sentence encoder: `minilm` (embedded), `hashing`, or a sentence-transformers model name."""
    encoder_dtype: Dtype = "float32"
    """Number format of the encoder's weights; part of its fingerprint."""

    @field_validator("routers", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("routers")
    @classmethod
    def _named_once(cls, routers: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in routers if routers.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice")
        return routers


class PromoteSettings(HomeSettings):
    """`atlas policy promote`: what a policy must show to become champion."""

    section: ClassVar[str] = "promote"
    runtime_fields: ClassVar[frozenset[str]] = HomeSettings.runtime_fields | {
        "price", "margin", "harm_margin", "least_questions", "seed",
    }  # fmt: skip

    price: float | None = Field(default=None, gt=0)
    """Share of accuracy that a unit of cost must earn, at which both are played; else 0.01."""
    margin: float = Field(default=0.02, ge=0, le=1)
    """Accuracy that may be lost for money: 0.02 is two points."""
    harm_margin: float = Field(default=0.02, ge=0, le=1)
    """Utility that a single dataset may lose: 0.02 is two points."""
    least_questions: int = Field(default=100, ge=1)
    """Held-out questions below which nothing is promoted."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap."""


class TrainSettings(HomeSettings):
    """`atlas train`: a multi-step policy from the recorded answers behind a profile."""

    section: ClassVar[str] = "train"
    identity_fields: ClassVar[frozenset[str]] = frozenset(
        {"estimator", "max_calls", "candidates", "epochs", "folds", "networks", "seed"}
    )
    resolved_fields: ClassVar[frozenset[str]] = frozenset({"profile"})
    runtime_fields: ClassVar[frozenset[str]] = HomeSettings.runtime_fields | {"name"}

    profile: str = Field(default="latest", min_length=1)
    """Id of the profile whose training questions it learns from, or `latest`."""
    estimator: Literal["exact", "ppo"] = "exact"
    """How the gradient is estimated: `exact` over all called sets, or `ppo` on sampled episodes."""
    max_calls: int = Field(default=4, ge=1, le=6)
    """Calls a question may take at most."""
    candidates: int = Field(default=6, ge=1, le=12)
    """Pairs it chooses among: those of the pool that complement each other best."""
    epochs: int | None = Field(default=None, ge=1, le=10_000)
    """Passes over the questions (`exact`, else 40), iterations of sampled episodes (`ppo`, 150)."""
    folds: int = Field(default=5, ge=0, le=20)
    """Folds of the guard, which trusts the policy where it is better left out; 0 has no guard."""
    networks: int = Field(default=1, ge=1, le=16)
    """Networks trained from different seeds and averaged."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    name: str | None = Field(default=None, pattern=rf"^{_NAME.pattern}$")
    """Name of the training for people, kept with its version."""


ALL_SETTINGS: tuple[type[HomeSettings], ...] = (
    HomeSettings,
    RouteSettings,
    ProfileSettings,
    RefreshSettings,
    EvaluateSettings,
    PromoteSettings,
    TrainSettings,
)


def flag_name(field: str) -> str:
    """The command-line flag of a field: `max_cost_usd` is `--max-cost`."""
    return "--" + field.removesuffix("_usd").replace("_", "-")


def environment_name(field: str) -> str:
    """The environment twin of a field: `max_cost_usd` is `ATLAS_MAX_COST`."""
    return "ATLAS_" + field.removesuffix("_usd").upper()
