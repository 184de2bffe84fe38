"""Which cells to run when not every (question, pair) can be paid for."""

from profiles.allocation.allocator import Allocator
from profiles.allocation.offline import SAMPLERS, allocate_offline
from profiles.allocation.separation import Separation, separated
from profiles.allocation.settings import AllocationSettings

__all__ = [
    "SAMPLERS",
    "AllocationSettings",
    "Allocator",
    "Separation",
    "allocate_offline",
    "separated",
]
