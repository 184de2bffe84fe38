"""The budget of one batch run: reserve the worst case before a call, settle after it."""

from __future__ import annotations

import asyncio


class BudgetExhaustedError(Exception):
    """The next call could pass the cap. Nothing was sent; the run can be resumed."""


class Budget:
    """Money of one run in billionths of a dollar, guarded inside one event loop.

    Charges and reservations together never pass the cap, however many calls are under way: a call
    whose worst case does not fit waits until others settle for less, and is refused only when
    nothing is left to wait for.

    Args:
        cap_nano: the cap; None for none.
        spent_nano: what earlier sessions of the run charged.
    """

    def __init__(self, cap_nano: int | None, spent_nano: int = 0) -> None:
        self.cap_nano = cap_nano
        self.spent_nano = spent_nano
        self.reserved_nano = 0
        self._exhausted = False
        self._changed = asyncio.Condition()

    async def reserve(self, amount_nano: int) -> None:
        """Set `amount_nano` aside.

        Raises:
            BudgetExhaustedError: it does not fit and no call under way could make room.
        """
        if self.cap_nano is None or amount_nano == 0:
            # Free calls never wait: a spent budget must not stop a local model.
            self.reserved_nano += amount_nano
            return
        async with self._changed:
            while self.spent_nano + self.reserved_nano + amount_nano > self.cap_nano:
                if self._exhausted or self.reserved_nano == 0:
                    self._exhausted = True
                    self._changed.notify_all()
                    raise BudgetExhaustedError
                await self._changed.wait()
            self.reserved_nano += amount_nano

    def check(self, reserved_nano: int) -> None:
        """Look once more before a call whose money is set aside is sent.

        Raises:
            BudgetExhaustedError: meanwhile others were charged more than was set aside for them,
                and the cap is passed: only free calls may follow.
        """
        if not reserved_nano or self.cap_nano is None:
            return
        if self.spent_nano + self.reserved_nano > self.cap_nano:
            self._exhausted = True
            raise BudgetExhaustedError

    def grown(self, reserved_nano: int, charged_nano: int) -> int:
        """What is to be settled of a reservation now that the charge is known.

        A charge above it counts from here on, not only when it has been written down.
        """
        above = max(0, charged_nano - reserved_nano)
        self.reserved_nano += above
        return reserved_nano + above

    async def settle(self, reserved_nano: int, charged_nano: int) -> None:
        """Turn a reservation into what was really charged (0 for a refused call)."""
        self.reserved_nano -= reserved_nano
        self.spent_nano += charged_nano
        if self.cap_nano is not None:
            async with self._changed:
                self._changed.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether a call was refused for want of money."""
        return self._exhausted
