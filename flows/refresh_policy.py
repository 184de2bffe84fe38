"""The last step of a refresh that trains: a policy on the new knowledge, judged, perhaps promoted.

What went wrong here is said and costs the refresh nothing: cells and canaries are paid for, and the
new knowledge is in use. The same refresh, run again, trains no policy twice: the registry knows
what was trained on which profile, and what the gate said of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flows.console import say
from flows.promote_policy import Promotion, promote_policy
from flows.settings import PromoteSettings, RefreshSettings, TrainSettings
from profiles.errors import KnowledgeError
from tasks.learn.promotion import GATE, LEFT, PREVIOUS, REFUSED
from tasks.profiling.store import ProfileNotFoundError
from tasks.registry.versions import CHAMPION, PolicyVersion, RegistryError
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from profiles.profile import Profile


class PolicyNews(NamedTuple):
    """What became of the policy of a refresh.

    Attributes:
        trained: the version trained on the knowledge in use, by this refresh or an earlier one;
            None where there is none.
        promotion: what the gate said tonight; None where it was not asked.
        sentence: for the report.
    """

    trained: PolicyVersion | None
    promotion: Promotion | None
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        version = self.trained
        return {
            "version": None if version is None else version.version,
            "policy_id": None if version is None else version.policy_id,
            "promotion": None if self.promotion is None else self.promotion.as_json(),
            "sentence": self.sentence,
        }


def refresh_policy(settings: RefreshSettings, profile: Profile, *, in_use: bool) -> PolicyNews:
    """Train on a profile, judge, promote; or say why not.

    Args:
        settings: of the refresh; its price and seed are the gate's, too.
        profile: the version that was fitted.
        in_use: whether it is the one that routing uses.
    """
    if not in_use:
        return PolicyNews(None, None, f"none was trained: {profile.profile_id} is not in use")
    from tasks.encoders import EmbeddingError
    from tasks.learn.checkpoint import CheckpointError

    trained: PolicyVersion | None = None
    told = (KnowledgeError, ProfileNotFoundError, RegistryError, WarehouseError,
            CheckpointError, EmbeddingError)  # fmt: skip
    try:
        versions = _versions(settings)
        own = [one for one in versions if one.profile_id == profile.profile_id]
        known = own[-1] if own else None
        trained = known or _train(settings, profile)
        if known is not None and _settled(known, versions):
            return PolicyNews(known, None, _as_before(known))
        promotion = promote_policy(_of(PromoteSettings, settings), str(trained.version))
    except told as error:
        if trained is None:
            return PolicyNews(None, None, f"none was trained: {error}")
        return PolicyNews(trained, None, f"version {trained.version} was not judged: {error}")
    return PolicyNews(trained, promotion, _judged(trained, promotion))


def _versions(settings: RefreshSettings) -> list[PolicyVersion]:
    from tasks.registry.registry import PolicyRegistry

    return PolicyRegistry(settings.mlflow_uri, settings.artifacts).versions()


def _settled(version: PolicyVersion, versions: list[PolicyVersion]) -> bool:
    """Whether the gate's word on a version was acted on: refused, or champion now or once.

    One that was accepted and never moved was cut off in between.
    """
    replaced = any(one.tags.get(PREVIOUS) == str(version.version) for one in versions)
    used = CHAMPION in version.aliases or LEFT in version.tags or replaced
    return used or version.tags.get(GATE) == REFUSED


def _train(settings: RefreshSettings, profile: Profile) -> PolicyVersion:
    from flows.training import train_session

    say(f"train: a policy on {profile.profile_id}")
    return train_session(_of(TrainSettings, settings, profile=profile.profile_id)).version


def _of(kind: Any, settings: RefreshSettings, **changed: Any) -> Any:  # noqa: ANN401
    """Settings of another kind, with what a refresh says of them."""
    shared = set(kind.model_fields) & set(RefreshSettings.model_fields) - {"name"}
    return kind(**({name: getattr(settings, name) for name in shared} | changed))


def _as_before(version: PolicyVersion) -> str:
    if CHAMPION in version.aliases:
        return f"version {version.version}, as before: it was trained on this knowledge"
    return (
        f"version {version.version} was trained on this knowledge before, and the gate said: "
        f"{version.tags[GATE]}"
    )


def _judged(version: PolicyVersion, promotion: Promotion) -> str:
    words = [f"version {version.version} was trained and is {promotion.verdict}"]
    if promotion.compared is not None:
        decision = promotion.compared.decision
        words.append(f"against {promotion.against}: {' '.join(decision.reasons)}")
    return ", ".join(words)
