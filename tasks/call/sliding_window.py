"""An exact limit per minute: never more than so much in any sixty seconds."""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0


class Charge:
    """An amount that counts against a window from the moment it was admitted."""

    __slots__ = ("amount", "at_s")

    def __init__(self, at_s: float, amount: int) -> None:
        self.at_s = at_s
        self.amount = amount


class SlidingWindow:
    """At most `limit` in any `WINDOW_S` seconds, exactly; the window is half open, [t, t + 60)."""

    __slots__ = ("_charges", "_limit", "_total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._charges: deque[Charge] = deque()

    def wait_s(self, amount: int, now_s: float) -> float:
        """Seconds until `amount` fits; 0 when it does now.

        An amount larger than the whole limit fits an empty window, else it would wait forever.
        """
        charges = self._charges
        while charges and charges[0].at_s + WINDOW_S <= now_s:
            self._total -= charges.popleft().amount
        over = self._total + amount - self._limit
        if over <= 0:
            return 0.0
        wait_s = 0.0
        for charge in charges:
            over -= charge.amount
            wait_s = charge.at_s + WINDOW_S - now_s
            if over <= 0:
                break
        return wait_s

    def admit(self, amount: int, now_s: float) -> Charge:
        """Count `amount` from now on; the caller has made sure that it fits."""
        charge = Charge(now_s, amount)
        self._charges.append(charge)
        self._total += amount
        return charge

    def correct(self, charge: Charge, amount: int) -> None:
        """Replace an estimate by what was really used."""
        if self._charges and charge.at_s >= self._charges[0].at_s:
            self._total += amount - charge.amount
        charge.amount = amount
