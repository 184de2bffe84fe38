"""Promote a policy, or go back to an earlier champion.

A challenger is played against the champion over held-out questions, offline and for free. What the
gate says is kept with the run that trained it before anything moves; the alias `champion` moves
only where the gate accepts, or where a person forces it and says why. One promotion of a warehouse
at a time: two that judged against the same champion must not both replace it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.failures import UsageError
from profiles.errors import KnowledgeError
from tasks.profiling.history import who
from tasks.profiling.store import ProfileNotFoundError, find_profile
from tasks.registry.versions import CHALLENGER, PolicyVersion, RegistryError
from warehouse.run_lock import run_lock

if TYPE_CHECKING:
    from flows.settings import HomeSettings, PromoteSettings
    from tasks.learn.held_out_play import Compared, Contender
    from tasks.registry.registry import PolicyRegistry

LOCK = "promotion"
"""One promotion or rollback of a warehouse at a time."""

_UNPLAYABLE = (KnowledgeError, ProfileNotFoundError, RegistryError)
"""What a policy that cannot be played any more raises."""


class Promotion(NamedTuple):
    """What became of a policy that was to be promoted.

    Attributes:
        verdict: accepted, refused or forced; "champion already" where there was nothing to do.
        version: the policy in question.
        before: champion until then; None before the first.
        against: what it was compared with, for people.
        compared: figures; None where nothing could be compared, or needed to be.
        sentence: what happened and why.
        moved: whether the alias points elsewhere now.
    """

    verdict: str
    version: PolicyVersion
    before: PolicyVersion | None
    against: str
    compared: Compared | None
    sentence: str
    moved: bool

    @property
    def refused(self) -> bool:
        """Whether the gate held it back."""
        return self.verdict == "refused"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = self.compared
        return {
            "verdict": self.verdict,
            "version": self.version.version,
            "policy_id": self.version.policy_id,
            "champion_before": None if self.before is None else self.before.version,
            "against": self.against,
            "moved": self.moved,
            "sentence": self.sentence,
            "price": None if found is None else found.price,
            "champion_price": None if found is None else found.champion_price,
            "notes": [] if found is None else list(found.notes),
            "decision": None if found is None else found.decision.as_json(),
        }

    def as_markdown(self) -> str:
        """Who against whom, the gate's tables, and what happened."""
        if self.compared is None:
            return f"{self.sentence}\n"
        title = f"# Version {self.version.version} against {self.against}"
        notes = [f"- {note}" for note in self.compared.notes]
        parts = [title, "", self.compared.decision.as_markdown(), *notes, *([""] if notes else [])]
        return "\n".join([*parts, self.sentence]) + "\n"


class Rollback(NamedTuple):
    """From which champion to which."""

    left: PolicyVersion
    champion: PolicyVersion
    sentence: str


def promote_policy(
    settings: PromoteSettings,
    reference: str = CHALLENGER,
    *,
    force: bool = False,
    reason: str = "",
    dry_run: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Promotion:
    """Judge a policy, and make it champion if it is better.

    Args:
        settings: price, margins and where everything is.
        reference: alias, number or id of the policy.
        force: promote it whatever the gate says; needs a reason.
        reason: why, for the record.
        dry_run: judge only; nothing is kept or moved.
        clock: for the record.

    Raises:
        UsageError: forced without a reason.
        LedgerBusyError: another process promotes or rolls back.
        PolicyNotFoundError, RegistryError: there is no such policy, or MLflow cannot be used.
        ProfileError, ProfileNotFoundError: the policy or its profile cannot be read, and it is not
            forced; there are no held-out questions.
    """
    from tasks.learn.promotion import champion_of
    from tasks.registry.registry import PolicyRegistry

    if force and not reason.strip():
        raise UsageError("--force needs --reason: whoever reads the record will want to know")
    with run_lock(settings.root, LOCK):
        registry = PolicyRegistry(settings.mlflow_uri, settings.artifacts)
        version, champion = registry.resolve(reference), champion_of(registry)
        if champion is not None and champion.version == version.version:
            sentence = f"Version {version.version} is champion already: nothing was changed."
            return Promotion(
                "champion already", version, champion, f"version {champion.version}", None,
                sentence, False,
            )  # fmt: skip
        promotion = _judged(settings, registry, version, champion, force=force, reason=reason)
        if dry_run:
            return promotion._replace(
                moved=False, sentence=f"{promotion.sentence} Nothing was kept: a dry run."
            )
        _settle(settings, registry, promotion, reason, clock())
        return promotion


def _judged(
    settings: PromoteSettings,
    registry: PolicyRegistry,
    version: PolicyVersion,
    champion: PolicyVersion | None,
    *,
    force: bool,
    reason: str,
) -> Promotion:
    """What the gate says, and what follows from it; nothing is kept yet."""
    against, compared, why_not = "router auto", None, ""
    try:
        challenger = _contender(settings, registry, version)
        against, other, told = _incumbent(settings, registry, challenger, champion)
        compared = _compare(settings, challenger, other)
        compared = compared._replace(notes=(*told, *compared.notes))
    except _UNPLAYABLE as error:
        if not force:
            raise
        why_not = f" It could not be judged: {error}"
    number = version.version
    if compared is not None and compared.decision.accepted:
        sentence = f"Version {number} is champion now."
        return Promotion("accepted", version, champion, against, compared, sentence, True)
    if force:
        sentence = f"Version {number} is champion now, by force: {reason.strip()}.{why_not}"
        return Promotion("forced", version, champion, against, compared, sentence, True)
    kept = "there is still no champion" if champion is None else f"{against} stays champion"
    sentence = f"Version {number} was refused; {kept}."
    return Promotion("refused", version, champion, against, compared, sentence, False)


def _settle(
    settings: PromoteSettings,
    registry: PolicyRegistry,
    promotion: Promotion,
    reason: str,
    now: datetime,
) -> None:
    """Keep the decision, then move the alias."""
    from tasks.learn.promotion import Note, keep_decision, promote

    told = reason.strip()
    if not told and promotion.compared is not None:
        told = " ".join(promotion.compared.decision.reasons)
    note = Note(who(), now, told)
    record = {**promotion.as_json(), "decided_at": now.isoformat(), "by": note.by, "reason": told}
    keep_decision(
        registry,
        settings.mlflow_uri,
        promotion.version,
        promotion.verdict,
        record,
        promotion.as_markdown(),
        note,
    )
    if promotion.moved:
        promote(registry, promotion.version, promotion.before, note)


def roll_back_policy(
    settings: HomeSettings,
    to: int | None = None,
    *,
    reason: str,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Rollback:
    """Make an earlier champion the champion again; nothing is judged.

    Args:
        settings: where everything is.
        to: number of a version that was champion before; None takes the one before this.
        reason: why, for the record.
        clock: for the record.

    Raises:
        UsageError: there is no reason.
        LedgerBusyError: another process promotes or rolls back.
        RollbackError, PolicyNotFoundError, RegistryError: there is nothing to go back to.
        PolicyFileError, ProfileNotFoundError, ProfileError: the earlier champion cannot be used.
    """
    from tasks.learn.promotion import Note, earlier_champion, roll_back
    from tasks.registry.registry import PolicyRegistry

    if not reason.strip():
        raise UsageError("--reason must say why: whoever reads the record will want to know")
    with run_lock(settings.root, LOCK):
        registry = PolicyRegistry(settings.mlflow_uri, settings.artifacts)
        champion, target = earlier_champion(registry, to)
        # A policy that cannot route must not come back into use.
        _readable(settings, registry, target)
        roll_back(registry, champion, target, Note(who(), clock(), reason.strip()))
    sentence = f"Version {target.version} is champion again; before: version {champion.version}."
    return Rollback(champion, target, sentence)


def _readable(settings: HomeSettings, registry: PolicyRegistry, version: PolicyVersion) -> None:
    """Read a policy and its profile, and check that they belong together."""
    from profiles.policies.policy import check_policy

    policy = registry.fetch(version, settings.root)
    check_policy(policy, find_profile(settings.root, policy.profile_id))


def _contender(
    settings: PromoteSettings, registry: PolicyRegistry, version: PolicyVersion
) -> Contender:
    from tasks.learn.held_out_play import Contender
    from tasks.learn.learning_set import held_out

    policy = registry.fetch(version, settings.root)
    profile = find_profile(settings.root, policy.profile_id)
    held = held_out(settings.root, profile)
    return Contender(f"version {version.version}", profile, held, policy)


def _incumbent(
    settings: PromoteSettings,
    registry: PolicyRegistry,
    challenger: Contender,
    champion: PolicyVersion | None,
) -> tuple[str, Contender, tuple[str, ...]]:
    """What is in use today, by name; and a sentence where that cannot be played."""
    from dataclasses import replace

    told: tuple[str, ...] = ()
    if champion is not None:
        try:
            found = _contender(settings, registry, champion)
        except _UNPLAYABLE as error:
            sentence = (
                f"The champion, version {champion.version}, cannot be played ({error}), so the "
                "comparison is with what is used without a policy."
            )
            told = (sentence,)
        else:
            return found.name, found, ()
    name = "router auto"
    return name, replace(challenger, name=name, policy=None), told


def _compare(settings: PromoteSettings, challenger: Contender, other: Contender) -> Compared:
    from profiles.policies.price_choice import default_price
    from tasks.learn.gate import GateSettings
    from tasks.learn.held_out_play import compare_held_out

    assert challenger.policy is not None
    price = default_price(challenger.policy) if settings.price is None else settings.price
    return compare_held_out(
        challenger,
        other,
        GateSettings(
            price=price,
            margin=settings.margin,
            harm_margin=settings.harm_margin,
            least_questions=settings.least_questions,
            seed=settings.seed,
        ),
    )
