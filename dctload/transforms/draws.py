"""Random numbers that depend on (seed, epoch, sample index) alone: the same for any batch, thread, rank and device."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

UInt = NDArray[np.uint64]
Float = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: UInt) -> UInt:
    """The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)


class Draws:
    """One stream of random numbers a sample.

    A stream is a counter behind a key, so a number has no history: `uniform(2)` gives the same whatever was drawn before.
    `child(n)` are streams of their own, one for each step of a transform.
    """

    def __init__(self, key: UInt) -> None:
        self.key = key

    @classmethod
    def of(cls, seed: int, epoch: int, index: ArrayLike) -> Draws:
        """Streams of the samples `index` (`[B]`) in an epoch."""
        places = np.atleast_1d(np.asarray(index)).astype(np.uint64)
        key = np.zeros_like(places)
        with np.errstate(over="ignore"):
            for number in (np.uint64(seed % 2**64), np.uint64(epoch % 2**64), places):
                key = _mixed(key + number + _GOLDEN)
        return cls(key)

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, places: NDArray[np.int64] | slice) -> Draws:
        return Draws(self.key[places])

    def child(self, number: int) -> Draws:
        """Another stream for each sample."""
        with np.errstate(over="ignore"):
            return Draws(_mixed(self.key + _GOLDEN * np.uint64(number + 1)))

    def bits(self, count: int) -> UInt:
        """`[B, count]`, 64 random bits each."""
        with np.errstate(over="ignore"):
            counters = _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
            return _mixed(self.key[:, None] + counters)

    def uniform(self, count: int) -> Float:
        """`[B, count]`, in [0, 1), multiples of 2^-53."""
        return np.asarray((self.bits(count) >> np.uint64(11)) * 2.0**-53, np.float64)

    def between(self, low: float, high: float) -> Float:
        """`[B]`, in [low, high)."""
        return low + (high - low) * self.uniform(1)[:, 0]

    def happens(self, p: float) -> NDArray[np.bool_]:
        """`[B]`, true with the probability `p`."""
        return self.uniform(1)[:, 0] < p

    def integers(self, count: int, below: ArrayLike) -> NDArray[np.int64]:
        """`[B, count]`, in 0..below - 1; `below` is broadcast, and taken as 1 where it is less."""
        most = np.maximum(np.asarray(below), 1)
        return np.asarray(np.minimum((self.uniform(count) * most).astype(np.int64), most - 1), np.int64)

    def orders(self, count: int) -> NDArray[np.int64]:
        """`[B, count]`, a permutation of 0..count - 1 each."""
        return np.argsort(self.uniform(count), axis=1, kind="stable")

    def normal(self, count: int) -> Float:
        """`[B, count]`, standard normal (Box and Muller)."""
        u = self.uniform(2 * count)
        return np.sqrt(-2.0 * np.log1p(-u[:, :count])) * np.cos(2 * np.pi * u[:, count:])

    def beta(self, alpha: float) -> Float:
        """`[B]`, Beta(alpha, alpha)."""
        if alpha == 1.0:
            return self.uniform(1)[:, 0]
        x, y = (self.child(i).log_gamma(alpha) for i in range(2))
        return 1.0 / (1.0 + np.exp(np.clip(y - x, -700.0, 700.0)))

    def log_gamma(self, alpha: float) -> Float:
        """`[B]`, logarithms of Gamma(alpha, 1); of small alpha the numbers themselves would be 0.

        Source: Marsaglia and Tsang, A simple method for generating gamma variables, 2000; below 1 by a power of a uniform number.
        """
        d = (alpha if alpha >= 1 else alpha + 1) - 1 / 3
        out, left = np.zeros(len(self)), np.arange(len(self))
        number = 1
        while len(left):  # at most 1 in 20 is drawn again
            stream = self[left].child(number)
            x, u = stream.child(0).normal(1)[:, 0], stream.child(1).uniform(1)[:, 0]
            v = (1 + x / np.sqrt(9 * d)) ** 3
            safe = np.where(v > 0, v, 1.0)
            taken = (v > 0) & (np.log1p(-u) < 0.5 * x * x + d - d * safe + d * np.log(safe))
            out[left[taken]] = np.log(d * safe[taken])
            left, number = left[~taken], number + 1
        return out if alpha >= 1 else out + np.log1p(-self.child(0).uniform(1)[:, 0]) / alpha
