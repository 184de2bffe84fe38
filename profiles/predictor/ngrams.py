"""Counts of word and character n-grams, many texts at a time and without storing any n-gram.

An n-gram is a slot number of `SLOT_BITS` bits of its hash. Two n-grams of one slot share a
feature, which is rare and harmless; in return a vocabulary is a list of numbers that holds no
word of the training questions, and a text is counted by array operations alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SLOT_BITS = 22
SLOTS = 1 << SLOT_BITS

Slots = NDArray[np.int32]
Counter = Callable[[Sequence[str]], tuple[NDArray[np.int32], Slots]]

_SPACE = 32
_BASE = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"\w\w+")
_BATCH = 512


def character_grams(texts: Sequence[str]) -> tuple[NDArray[np.int32], Slots]:
    """Every character 1–4-gram inside a word and the spaces around it.

    Returns:
        (m,) number of the text and (m,) slot of each n-gram, as often as it occurs.
    """
    codes, owners = _codes(texts)
    if not len(codes):
        return owners, owners.copy()
    letters = _mixed(codes.astype(np.uint64))
    space = codes == _SPACE
    first = ~space  # a space alone is no n-gram
    kept_owners, kept_slots = [owners[first]], [_slots(letters[first], 1)]
    rolled = letters
    inside = np.ones(len(codes), np.bool_)  # no space strictly between the ends of the window
    for length in (2, 3, 4):
        if len(codes) < length:
            break
        rolled = rolled[:-1] * _BASE + letters[length - 1 :]
        inside = inside[:-1] & ~space[length - 2 : -1] if length > 2 else inside[:-1]
        # Texts begin and end with a space: a window over two texts holds two spaces in a row.
        keep = inside & (owners[: len(rolled)] == owners[length - 1 :])
        kept_owners.append(owners[: len(rolled)][keep])
        kept_slots.append(_slots(rolled[keep], length))
    return np.concatenate(kept_owners), np.concatenate(kept_slots)


def word_grams(texts: Sequence[str]) -> tuple[NDArray[np.int32], Slots]:
    """Every word of two letters or more, and every two that follow one another.

    Returns:
        (m,) number of the text and (m,) slot of each n-gram, as often as it occurs.
    """
    shaped = _shaped(texts)
    joined = "".join(shaped)
    spans = np.array([match.span() for match in _WORD.finditer(joined)], np.int64).reshape(-1, 2)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    hashes = _segment_hashes(codes, spans)
    ends = np.cumsum([len(text) for text in shaped])
    owners = np.searchsorted(ends, spans[:, 0], side="right").astype(np.int32)
    neighbours = owners[1:] == owners[:-1]
    couples = (hashes[:-1] * _BASE + hashes[1:])[neighbours]
    return (
        np.concatenate([owners, owners[1:][neighbours]]),
        np.concatenate([_slots(hashes, 5), _slots(couples, 6)]),
    )


def count_table(texts: Sequence[str], counter: Counter, columns: Slots | None) -> csr_matrix:
    """(n, F) float32 counts of n-grams.

    Args:
        texts: n texts.
        counter: `word_grams` or `character_grams`.
        columns: (SLOTS,) column of every slot, -1 for none; None keeps all slots as columns.
    """
    from scipy.sparse import csr_matrix, vstack

    width = SLOTS if columns is None else int(columns.max(initial=-1)) + 1
    tables = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        owners, slots = counter(batch)
        if columns is not None:
            slots = columns[slots]
            known = slots >= 0
            owners, slots = owners[known], slots[known]
        ones = np.ones(len(slots), np.float32)
        table = csr_matrix((ones, (owners, slots)), shape=(len(batch), width))
        table.sum_duplicates()
        tables.append(table)
    if not tables:
        return csr_matrix((0, width), dtype=np.float32)
    return vstack(tables, format="csr") if len(tables) > 1 else tables[0]


def _shaped(texts: Sequence[str]) -> list[str]:
    """Lower case, single spaces, and a space around every word; a text without words is a space."""
    return [f" {' '.join(text.lower().split())} ".replace("  ", " ") for text in texts]


def _codes(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    shaped = _shaped(texts)
    joined = "".join(shaped).encode("utf-32-le", "surrogatepass")
    lengths = [len(text) for text in shaped]
    owners = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    return np.frombuffer(joined, np.uint32), owners


def _segment_hashes(codes: NDArray[np.uint32], spans: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Polynomial hash of every span, from one running sum: hash = Σ letter_i · base^(i − start)."""
    powers = np.full(len(codes) + 1, _BASE)
    powers[0] = 1
    powers = np.cumprod(powers, dtype=np.uint64)
    inverse = np.full(len(codes) + 1, np.uint64(pow(int(_BASE), -1, 1 << 64)))
    inverse[0] = 1
    inverse = np.cumprod(inverse, dtype=np.uint64)
    running = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_mixed(codes.astype(np.uint64)) * powers[:-1], dtype=np.uint64, out=running[1:])
    hashes: NDArray[np.uint64] = (running[spans[:, 1]] - running[spans[:, 0]]) * inverse[
        spans[:, 0]
    ]
    return hashes


def _slots(hashes: NDArray[np.uint64], kind: int) -> Slots:
    mixed = _mixed(hashes + np.uint64(kind))
    return (mixed >> np.uint64(64 - SLOT_BITS)).astype(np.int32)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): every bit moves every other."""
    z = (values + np.uint64(1)) * _BASE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed
