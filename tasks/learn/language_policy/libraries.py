"""Which libraries the language policy runs on, checked before they are used."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

_INSTALL = "pip install 'atlas-routing[llm]'"
_TESTED = "1.16"
"""The trainer overrides three methods of TRL's GRPOTrainer that another version may change."""


class LanguagePolicyError(Exception):
    """A language policy cannot be trained, kept or used as asked."""


def check_libraries() -> None:
    """Refuse to run without the extra `llm`, or with a TRL that was not tested.

    Raises:
        LanguagePolicyError: saying which version is there and what to install.
    """
    for name in ("trl", "peft", "datasets", "transformers"):
        try:
            found = version(name)
        except PackageNotFoundError:
            msg = f"the language policy needs {name}, which is not installed: {_INSTALL}"
            raise LanguagePolicyError(msg) from None
        if name == "trl" and ".".join(found.split(".")[:2]) != _TESTED:
            msg = (
                f"the language policy was made for TRL {_TESTED} and overrides methods that may"
                f" differ in TRL {found}, which is installed: {_INSTALL}"
            )
            raise LanguagePolicyError(msg)


@contextlib.contextmanager
def without_known_warnings() -> Iterator[None]:
    """Keep to ourselves what the pinned libraries say of each other.

    TRL says that rollout functions may change: the version guard is our answer. transformers has
    renamed gradient checkpointing, which this TRL and PEFT still call by its old name.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rollout_func.*", category=UserWarning)
        warnings.filterwarnings(
            "ignore", message=".*gradient_checkpointing.*", category=FutureWarning
        )
        yield
