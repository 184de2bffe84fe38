"""How calls are spent."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiles.errors import ProfileError
from profiles.posterior import PosteriorSettings


@dataclass(frozen=True, slots=True)
class AllocationSettings:
    """How the allocator spends a budget.

    Attributes:
        rounds: about how many rounds the budget is spread over, the first one not counted.
        smallest_round: cells of a round at least.
        draws: posterior draws behind the stopping rule.
        explore: share of every round spent on cells drawn at random.
        fallback_share: below this share of the cells whole questions are run instead: too little
            is known to choose.
        epsilon: stop when knowing every accuracy exactly would raise the routed accuracy by less
            than this, as a share of 1; 0 never stops early.
        posterior: how accuracies are estimated in between.
    """

    rounds: int = 50
    smallest_round: int = 8
    draws: int = 200
    explore: float = 0.05
    fallback_share: float = 0.10
    epsilon: float = 0.0005
    posterior: PosteriorSettings = field(default_factory=PosteriorSettings)

    def __post_init__(self) -> None:
        problem = ""
        if self.rounds < 1 or self.smallest_round < 1 or self.draws < 2:
            problem = "rounds and smallest_round must be 1 or more, draws 2 or more"
        elif not 0.0 <= self.explore <= 1.0:
            problem = f"explore must lie between 0 and 1, not {self.explore}"
        elif not 0.0 <= self.fallback_share <= 1.0:
            problem = f"fallback_share must lie between 0 and 1, not {self.fallback_share}"
        elif not self.epsilon >= 0.0:
            problem = f"epsilon must be 0 or more, not {self.epsilon}"
        if problem:
            raise ProfileError(problem)
