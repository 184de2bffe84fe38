"""Registering what runs by itself with a Prefect server: compare, then make or change.

Everything is found again by its name, so that deploying twice changes nothing the second time. What
the server has and the files do not mention is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flows.deployments_file import Deployment, DeploymentsFileError, Wanted

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import AutomationCore

Action = Literal["create", "update", "unchanged", "unknown"]
POOL_TYPE = "process"


class DeployError(Exception):
    """The server cannot take what the files ask for; says why and what to do."""


class Change(NamedTuple):
    """What deploying does with one thing.

    Attributes:
        kind: work pool | deployment | automation.
        action: `unknown` where no server answered to compare with.
        fields: what differs, as "field: old -> new"; empty for a new or unchanged thing.
    """

    kind: str
    name: str
    action: Action
    fields: tuple[str, ...] = ()


class Deployable(NamedTuple):
    """A deployment whose flow was found and accepts its parameters."""

    wanted: Deployment
    flow: Flow[..., Any]

    @property
    def full_name(self) -> str:
        """Prefect's name of it, `flow/deployment`."""
        return f"{self.flow.name}/{self.wanted.name}"


def find_flows(wanted: Wanted) -> list[Deployable]:
    """Import the flow of every deployment and check the parameters against its settings.

    Raises:
        DeploymentsFileError: there is no such flow, it refuses the parameters, or a schedule
            cannot be meant.
    """
    from importlib import import_module

    from prefect import Flow
    from prefect.exceptions import ParameterTypeError

    found = []
    for deployment in wanted.deployments:
        module, _, name = deployment.entrypoint.rpartition(".")
        where = f"{wanted.file}: deployment {deployment.name!r}"
        try:
            flow = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise DeploymentsFileError(
                f"{where}: there is no flow {deployment.entrypoint} ({error}). "
                "Install ATLAS where the worker runs, and name a flow by its module."
            ) from None
        if not isinstance(flow, Flow):
            raise DeploymentsFileError(f"{where}: {deployment.entrypoint} is not a Prefect flow.")
        try:
            flow.validate_parameters(deployment.parameters)
        except ParameterTypeError as error:
            reason = " ".join(str(error).split())
            raise DeploymentsFileError(f"{where}: its parameters are refused: {reason}") from None
        try:
            _schedules(deployment)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DeploymentsFileError(f"{where}: its schedule is refused: {reason}") from None
        found.append(Deployable(deployment, flow))
    return found


def offline_changes(wanted: Wanted, flows: list[Deployable]) -> list[Change]:
    """Everything the files ask for, where no server can say what is there already."""
    return [
        *(Change("work pool", name, "unknown") for name in wanted.work_pools()),
        *(Change("deployment", one.full_name, "unknown") for one in flows),
        *(Change("automation", one["name"], "unknown") for one in wanted.automations),
    ]


async def deploy(
    wanted: Wanted, flows: list[Deployable], *, home: Path, dry_run: bool
) -> list[Change]:
    """Compare the files with the server and, unless it is a dry run, make them equal.

    Args:
        wanted: what the files ask for.
        flows: their flows, see `find_flows`.
        home: folder in which runs begin: relative paths of parameters start there.
        dry_run: whether to change nothing.

    Raises:
        DeployError: a work pool is of another type, or a block to notify with is missing.
        DeploymentsFileError: Prefect refuses an automation.
    """
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        # One after the other: a deployment needs its pool.
        return [
            *[await _work_pool(client, name, dry_run=dry_run) for name in wanted.work_pools()],
            *[await _deployment(client, one, home, dry_run=dry_run) for one in flows],
            *[
                await _automation(client, wanted.file, entry, dry_run=dry_run)
                for entry in wanted.automations
            ],
        ]


async def _work_pool(client: PrefectClient, name: str, *, dry_run: bool) -> Change:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        there = await client.read_work_pool(name)
    except ObjectNotFound:
        if not dry_run:
            await client.create_work_pool(
                WorkPoolCreate(
                    name=name, type=POOL_TYPE, description="Runs of ATLAS, as processes of a worker"
                )
            )
        return Change("work pool", name, "create")
    if there.type != POOL_TYPE:
        raise DeployError(
            f"The server has a work pool {name!r} of type {there.type!r}; ATLAS runs as a "
            f"{POOL_TYPE}. Give the pool of the deployments another name."
        )
    return Change("work pool", name, "unchanged")


async def _deployment(
    client: PrefectClient, one: Deployable, home: Path, *, dry_run: bool
) -> Change:
    from prefect.exceptions import ObjectNotFound

    fields = _fields(one, home)
    try:
        there = _fields_there(await client.read_deployment_by_name(one.full_name))
    except ObjectNotFound:
        there = None
    differing = () if there is None else _differences(there, _comparable(fields))
    if there is not None and not differing:
        return Change("deployment", one.full_name, "unchanged")
    if not dry_run:
        flow_id = await client.create_flow_from_name(one.flow.name)
        # An existing deployment of this name is replaced, its history stays.
        await client.create_deployment(flow_id=flow_id, name=one.wanted.name, **fields)
    return Change("deployment", one.full_name, "create" if there is None else "update", differing)


def _fields(one: Deployable, home: Path) -> dict[str, Any]:
    """The deployment as Prefect's client takes it."""
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.utilities.callables import parameter_schema

    wanted = one.wanted
    limit = wanted.concurrency_limit
    return {
        "description": wanted.description,
        "entrypoint": wanted.entrypoint,
        "tags": list(wanted.tags),
        "parameters": wanted.parameters,
        "parameter_openapi_schema": parameter_schema(one.flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "work_pool_name": wanted.work_pool.name,
        "work_queue_name": wanted.work_pool.work_queue_name,
        "job_variables": {"working_dir": str(home)} | wanted.work_pool.job_variables,
        "schedules": _schedules(wanted),
        "concurrency_limit": limit.limit if limit else None,
        "concurrency_options": (
            ConcurrencyOptions(collision_strategy=limit.collision_strategy)  # type: ignore[arg-type]
            if limit
            else None
        ),
    }


def _schedules(wanted: Deployment) -> list[Any]:
    from datetime import UTC, datetime

    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    made = []
    for entry in wanted.schedules:
        when: CronSchedule | IntervalSchedule
        if entry.cron is not None:
            when = CronSchedule(cron=entry.cron, timezone=entry.timezone, day_or=entry.day_or)
        else:
            # A fixed anchor: deploying again must not shift the beat.
            when = IntervalSchedule(
                interval=entry.interval,  # type: ignore[arg-type]
                anchor_date=datetime(2020, 1, 1, tzinfo=UTC),
                timezone=entry.timezone,
            )
        made.append(DeploymentScheduleCreate(schedule=when, active=entry.active, slug=entry.slug))
    return made


def _comparable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in one plain form, for both sides of a comparison."""
    options = fields["concurrency_options"]
    plain = dict(fields) | {
        "tags": sorted(fields["tags"]),
        "schedules": sorted(
            f"{_when(entry.schedule)}{'' if entry.active else ', inactive'}"
            for entry in fields["schedules"]
        ),
        "collision_strategy": options.collision_strategy.value if options else None,
    }
    del plain["concurrency_options"]
    return plain


def _fields_there(deployment: Any) -> dict[str, Any]:  # noqa: ANN401
    """The same plain form of a deployment that the server has."""
    limit = deployment.global_concurrency_limit
    names = (
        "description", "entrypoint", "tags", "parameters", "parameter_openapi_schema",
        "enforce_parameter_schema", "work_pool_name", "work_queue_name", "job_variables",
        "schedules", "concurrency_options",
    )  # fmt: skip
    fields = {name: getattr(deployment, name) for name in names}
    return _comparable(fields | {"concurrency_limit": limit.limit if limit else None})


def _when(schedule: Any) -> str:  # noqa: ANN401
    if hasattr(schedule, "cron"):
        return f"{schedule.cron} {schedule.timezone}"
    return f"every {schedule.interval.total_seconds():g} s"


_QUIET = frozenset({"parameter_openapi_schema"})
"""Fields whose values are too long to show."""


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs, leaf by leaf: "trigger.within: 90.0 -> 35.0"."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    quiet = [name for name in _QUIET if old.get(name) != new.get(name)]
    shown = [
        f"{name}: {before.get(name, _ABSENT)} -> {after.get(name, _ABSENT)}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and name.partition(".")[0] not in _QUIET
    ]
    return (*shown, *quiet)


_ABSENT = "(none)"


def _leaves(value: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{where}{name}.")
        else:
            yield f"{where}{name}", repr(inner)


async def _automation(
    client: PrefectClient, file: Path, entry: dict[str, Any], *, dry_run: bool
) -> Change:
    name = entry["name"]
    wanted = _checked(file, entry | {"actions": await _actions(client, entry)})
    there = await client.read_automations_by_name(name)
    if not there:
        if not dry_run:
            await client.create_automation(wanted)
        return Change("automation", name, "create")
    old, new = _plain(there[0]), _plain(wanted)
    differing = _differences(old, new)
    if not differing:
        return Change("automation", name, "unchanged")
    if not dry_run:
        await client.update_automation(there[0].id, wanted)
    return Change("automation", name, "update", differing)


async def _actions(client: PrefectClient, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The actions with blocks named by id; a notification without a block does nothing."""
    made = []
    for action in entry.get("actions", ()):
        if action.get("type") != "send-notification":
            made.append(action)
        elif block := action.get("block_document_id"):
            made.append(action | {"block_document_id": await _block_id(client, str(block))})
        else:
            made.append({"type": "do-nothing"})
    return made


async def _block_id(client: PrefectClient, slug: str) -> str:
    from prefect.exceptions import ObjectNotFound

    kind, _, name = slug.partition("/")
    try:
        block = await client.read_block_document_by_name(name, kind)
    except ObjectNotFound:
        raise DeployError(
            f"The server has no block {slug!r} to send notifications with. Make one under Blocks "
            "in Prefect's pages, a Slack webhook for example, and set ATLAS_NOTIFY_BLOCK to its "
            "type and name, such as slack-webhook/ops."
        ) from None
    return str(block.id)


def _checked(file: Path, entry: Mapping[str, Any]) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore
    from pydantic import ValidationError

    try:
        return AutomationCore.model_validate(dict(entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DeploymentsFileError(
            f"{file.with_name('automations.yaml')}: automation {entry['name']!r} is refused by "
            f"Prefect at {where}: {first['msg']}."
        ) from None


def _plain(automation: AutomationCore) -> dict[str, Any]:
    """What we set of an automation, in a form that can be compared: sets are sorted."""
    plain = automation.model_dump(mode="json")
    trigger = dict(plain["trigger"])
    for name in ("after", "expect", "for_each"):
        if name in trigger:
            trigger[name] = sorted(trigger[name])
    trigger.pop("id", None)
    return {
        "description": plain["description"],
        "enabled": plain["enabled"],
        "trigger": trigger,
        "actions": plain["actions"],
    }
