"""How a training is shown: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from flows.console import say

if TYPE_CHECKING:
    from flows.settings import TrainSettings
    from tasks.learn.fit_policy import PolicySettings
    from tasks.learn.training import Look

_BAR = 24
_ERASE = "\r\x1b[2K"


class TrainProgress:
    """Tells of looks at validation and of what is being done.

    Args:
        settings: how to show it.
        fit: how many epochs there are.
    """

    def __init__(self, settings: TrainSettings, fit: PolicySettings) -> None:
        self._silent = settings.progress == "never"
        dumb = os.environ.get("TERM") == "dumb"
        self._live = settings.progress != "always" and sys.stderr.isatty() and not dumb
        ppo = fit.estimator == "ppo"
        self._unit = "iteration" if ppo else "epoch"
        self._epochs = fit.ppo.iterations if ppo else fit.exact.epochs
        self._open = False

    def say(self, text: str) -> None:
        """A line of its own."""
        self.close()
        if not self._silent:
            say(text)

    def look(self, network: str, look: Look) -> None:
        """One look at a network: the bar moves, or a line is written.

        Without a terminal the networks of the guard get no lines: their folds are announced.
        """
        if self._silent:
            return
        done = look.iteration / look.iterations
        epoch = max(1, round(done * self._epochs))
        told = (
            f"{network}: {self._unit} {epoch} of {self._epochs}, "
            f"validation utility {look.validation_utility:.4f}"
        )
        if self._live:
            filled = round(done * _BAR)
            sys.stderr.write(f"{_ERASE}{'█' * filled}{'░' * (_BAR - filled)} {told}")
            sys.stderr.flush()
            self._open = True
        elif network.startswith("policy"):
            say(told)

    def close(self) -> None:
        """Take the bar away."""
        if self._open:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._open = False
