"""Exploration in a routing job: which routers can explore, and what it adds to a run's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from profiles.errors import RouterError

if TYPE_CHECKING:
    from profiles.profile import Profile
    from profiles.routers.base import Router


class Explores(Protocol):
    """What a job says of exploration; see `flows.settings.RouteSettings`."""

    @property
    def router(self) -> str:
        """Name of the router."""
        ...

    @property
    def explore(self) -> float:
        """Share of the questions that are explored; 0 is none."""
        ...

    @property
    def explorer(self) -> str:
        """One of `profiles.exploration.EXPLORERS`."""
        ...

    @property
    def explore_band(self) -> float:
        """Utility below the best one's at which a pair is still drawn."""
        ...


def exploring(job: Explores, router: Router, profile: Profile) -> Router:
    """The router, drawing another pair at times where the job asks for it.

    Raises:
        RouterError: the profile has nothing to draw by.
    """
    if not job.explore:
        return router
    from profiles.exploration import Exploration, ExploringRouter

    return ExploringRouter(
        router, Exploration(job.explore, job.explorer, job.explore_band), profile
    )


def refuse_blind(job: Explores) -> None:
    """Refuse to explore with a router that needs no profile: it knows no utility of pairs.

    Raises:
        RouterError: the job explores.
    """
    if job.explore:
        raise RouterError(
            f"router {job.router!r} knows no utility of pairs, so there is nothing to explore "
            "near the best one: leave --explore out, or choose auto, cluster, predictor or "
            "best-single. Router random draws among all pairs as it is."
        )


def refuse_policy(job: Explores) -> None:
    """Refuse to explore with a multi-step policy: propensities are logged of one choice a row.

    Raises:
        RouterError: the job explores.
    """
    if job.explore:
        raise RouterError(
            "--explore works with routers of one step; a policy of many steps draws nothing at "
            "random. Leave --explore out, or --policy."
        )


def identity_of(job: Explores) -> dict[str, Any]:
    """What exploration adds to a run's identity: nothing where there is none."""
    return {"explore": [job.explore, job.explorer, job.explore_band]} if job.explore else {}
