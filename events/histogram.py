"""Durations by powers of two: 23 numbers tell quantiles of any number of deliveries, and add up over minutes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

# Milliseconds. Each bucket holds what took at most so long, and longer than the one before; the last, all that is
# longer than some 70 minutes.
BOUNDS = tuple(1 << n for n in range(23))
BUCKETS = len(BOUNDS) + 1


def added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip_longest(one, other, fillvalue=0)]


def larger(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Bucket by bucket the larger number."""
    return [max(a, b) for a, b in zip_longest(one, other, fillvalue=0)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The milliseconds within which `share` of them were; None of nothing, infinity beyond the last bound.

    Within a bucket they are taken to be spread evenly: it is off by less than the factor two.
    """
    wanted = sum(counts) * share
    if not sum(counts):
        return None
    below, floor = 0, 0.0
    for number, bound in zip(counts, BOUNDS, strict=False):
        if number and below + number >= wanted:
            return floor + (bound - floor) * (wanted - below) / number
        below, floor = below + number, float(bound)
    return float("inf")
