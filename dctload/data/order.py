"""Which samples a rank reads and when: the order of an epoch, split over ranks, from any position on.

All is arithmetic on one list: the epoch's order over all ranks. Step `k` of the epoch takes the next `batch_size * world_size`
samples of it, and each rank its share of them, so that "handed out so far" is always a beginning of that list and one number,
the position, says where to go on, whatever the number of ranks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

_STATE_VERSION = 1
_REPLACEMENT = 0x7265706C  # keeps the draws of replacements apart from those of the order
_SHARDS = 0x73686172  # likewise, of the order of shards


def permutation(length: int, seed: int, epoch: int, *purpose: int) -> Indices:
    """int64 `[length]`: 0..length-1 in an order drawn from (seed, epoch) alone; for another purpose another one.

    It is the stable sort of raw Philox output, which NumPy keeps equal on every platform and from version to version (NEP
    19); `Generator.permutation` carries no such promise.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed % 2**64, epoch, *purpose]))
    return np.argsort(bits.random_raw(length), kind="stable").astype(np.int64, copy=False)


def permutation_in_windows(shards: NDArray[np.int32], window: int, seed: int, epoch: int) -> Indices:
    """Samples in an order drawn from (seed, epoch) alone that stays within a few shards at a time.

    The shards come in an order of their own; each `window` of them are read together, their samples in random order. So each
    shard is needed for one stretch of the epoch only.

    Args:
        shards: int `[length]`, the shard that each sample lies in.
        window: Shards that are read together.
        seed: Of the random numbers.
        epoch: Likewise.
    """
    count = int(shards.max(initial=-1)) + 1
    place = np.empty(count, np.int64)
    place[permutation(count, seed, epoch, _SHARDS)] = np.arange(count)
    first = permutation(len(shards), seed, epoch)
    order: Indices = first[np.argsort(place[shards[first]] // window, kind="stable")]
    return order


def replacements(length: int, seed: int, epoch: int, index: int) -> Iterator[int]:
    """Samples to take in place of sample `index`, in an order drawn from (seed, epoch, index) alone.

    Every other sample comes once; `index` itself does not, so nothing comes where there is no other.
    """
    bits = np.random.Philox(np.random.SeedSequence([seed % 2**64, epoch, index, _REPLACEMENT]))
    given: set[int] = {index}
    while len(given) < length:
        drawn = int(bits.random_raw()) % length
        if drawn not in given:
            given.add(drawn)
            yield drawn


class EpochPlan:
    """What one rank reads of an epoch from a position on: batches of sample indices, int64 `[<= batch_size]`, by number.

    Attributes:
        epoch: Number of the epoch.
        start: Position at which it begins: samples of the epoch handed out before, over all ranks.
    """

    def __init__(
        self, epoch: int, start: int, steps: int, batch: Callable[[int], Indices], position: Callable[[int], int]
    ) -> None:
        """Of functions of the number of steps; use `EpochOrder.plan`."""
        self.epoch = epoch
        self.start = start
        self._steps = steps
        self._batch = batch
        self._position = position

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, k: int) -> Indices:
        return self._batch(range(self._steps)[k])

    def __iter__(self) -> Iterator[Indices]:
        return map(self._batch, range(self._steps))

    def position_after(self, batches: int) -> int:
        """The position once every rank has handed out this many batches of the plan."""
        if not 0 <= batches <= self._steps:
            raise ValueError(f"{batches} batches of a plan of {self._steps}")
        return self._position(batches)

    def __repr__(self) -> str:
        return f"EpochPlan(epoch {self.epoch}, {self._steps} batches from position {self.start})"


@dataclass(frozen=True)
class EpochOrder:
    """The order of every epoch over all ranks, and this rank's part of it.

    Every rank gets the same number of batches and of samples. Where the last step does not come out even, samples from the
    start of the epoch's order are repeated (fewer than `world_size` of them), or with `drop_last` the step is left out.

    Attributes:
        length: Samples of the source.
        batch_size: Samples a batch on each rank.
        shuffle: Draw the order anew from (seed, epoch) in each epoch.
        seed: Of the order.
        drop_last: Leave out a last step that is not full on every rank.
        rank: This rank, 0..world_size-1.
        world_size: Ranks that share the epoch.
        sampler: Indices in the order in which they are to come; its `set_epoch` is called where it has one. It must repeat
            its order for an epoch for a resumed run to be exact.
        batch_sampler: Lists of indices: the batches themselves, dealt to the ranks one after the other; the first are
            repeated until every rank has as many.
        shards: int32 `[length]`, the shard that each sample lies in; None where there are none.
        window: Shards whose samples are shuffled together (`permutation_in_windows`); 0: all samples are.

    Raises:
        ValueError: Two of them contradict each other, or one is out of range.
        TypeError: A sampler without `len()`: it is listed at the start of each epoch and has to end.
    """

    length: int
    batch_size: int = 1
    shuffle: bool = False
    seed: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    sampler: Any = None
    batch_sampler: Any = None
    shards: NDArray[np.int32] | None = field(default=None, repr=False, compare=False)
    window: int = 0

    def __post_init__(self) -> None:
        for name, least in (("length", 0), ("batch_size", 1), ("rank", 0), ("world_size", 1)):
            value = getattr(self, name)
            if _whole(value, name) < least:
                raise ValueError(f"{name} is {least} or more, not {value}")
        _whole(self.seed, "seed")
        if self.rank >= self.world_size:
            raise ValueError(f"rank is 0..{self.world_size - 1} for world_size={self.world_size}, not {self.rank}")
        if self.sampler is not None and self.shuffle:
            raise ValueError("sampler and shuffle=True exclude each other: the sampler gives the order")
        others = self.batch_size != 1 or self.shuffle or self.sampler is not None or self.drop_last
        if self.batch_sampler is not None and others:
            raise ValueError("batch_sampler excludes batch_size, shuffle, sampler and drop_last: it gives the batches")
        for name in ("sampler", "batch_sampler"):
            given = getattr(self, name)
            if given is not None and not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
                raise TypeError(f"{name} is something to go through with a len(), not {type(given).__name__}; make a list of it")

    def __len__(self) -> int:
        """Batches of a whole epoch on each rank."""
        if self.batch_sampler is not None:
            return -(-len(self.batch_sampler) // self.world_size)
        count = self.length if self.sampler is None else len(self.sampler)
        step = self.batch_size * self.world_size
        return count // step if self.drop_last else -(-count // step)

    def plan(self, epoch: int, start: int = 0) -> EpochPlan:
        """This rank's batches of an epoch from a position on.

        Args:
            epoch: 0 or more.
            start: Samples of the epoch that have been handed out, over all ranks.

        Raises:
            ValueError: `start` lies beyond the epoch, or inside a batch of the batch sampler; or a batch is empty.
            IndexError: A sampler gives an index that the source has not.
        """
        if _whole(epoch, "epoch") < 0:
            raise ValueError(f"epoch is 0 or more, not {epoch}")
        if self.batch_sampler is not None:
            return self._plan_of_batches(epoch, _whole(start, "start"))
        order = self._order(epoch)
        if not 0 <= _whole(start, "start") <= len(order):
            raise ValueError(f"position {start} of an epoch of {len(order)} samples")
        rest, full = order[start:], self.batch_size * self.world_size
        steps = len(rest) // full if self.drop_last else -(-len(rest) // full)

        def batch(k: int) -> Indices:
            # One step of all ranks; every world_size-th sample of it is this rank's, so a last step comes out even within one.
            step = rest[k * full : (k + 1) * full]
            missing = -len(step) % self.world_size
            if missing:
                step = np.concatenate((step, np.resize(order, missing)))
            mine: Indices = step[self.rank :: self.world_size].copy()
            return mine

        return EpochPlan(epoch, start, steps, batch, lambda k: start + min(k * full, len(rest)))

    def state_dict(self, epoch: int, position: int) -> dict[str, Any]:
        """Where a run stands, in plain values: what `position_of` takes."""
        state = {
            "version": _STATE_VERSION,
            "epoch": int(epoch),
            "position": int(position),
            "seed": int(self.seed),
            "shuffle": bool(self.shuffle),
            "length": int(self.length),
        }
        if self._shuffles_in_windows:
            state["window"] = int(self.window)
        return state

    def position_of(self, state: object) -> tuple[int, int]:
        """(epoch, position) of a state; batch size and number of ranks may be others than those it was saved with.

        Raises:
            ValueError: It is not of `state_dict`, or of a source or an order that differs.
        """
        wanted = self.state_dict(0, 0)
        if not isinstance(state, Mapping) or not wanted.keys() - {"window"} <= state.keys():
            raise ValueError(f"a state as state_dict gives it has {', '.join(wanted)}; this is {state!r}")
        if state["version"] != _STATE_VERSION:
            raise ValueError(f"the state is of version {state['version']!r}, this release reads version {_STATE_VERSION}")
        for name, remedy in (
            ("length", "open the source that it was saved with"),
            ("shuffle", f"pass shuffle={state['shuffle']!r}"),
            ("seed", f"pass seed={state['seed']!r}"),
            ("window", f"open the shards with shuffle_window={state.get('window', 0)!r}"),
        ):
            saved, ours = state.get(name, 0), wanted.get(name, 0)
            if saved != ours:
                raise ValueError(
                    f"the state was saved with {name} {saved!r}, this loader has {ours!r}, which would give other samples or "
                    f"other draws; {remedy}"
                )
        epoch, position = _whole(state["epoch"], "epoch"), _whole(state["position"], "position")
        if epoch < 0 or position < 0:
            raise ValueError(f"epoch and position of a state are 0 or more, not {epoch} and {position}")
        return epoch, position

    @property
    def _shuffles_in_windows(self) -> bool:
        return self.shuffle and self.window > 0 and self.shards is not None

    def _order(self, epoch: int) -> Indices:
        """The epoch's order over all ranks."""
        if self.sampler is None and not self.shuffle:
            return np.arange(self.length, dtype=np.int64)
        if self.sampler is None:
            if self.shards is not None and self._shuffles_in_windows:
                return permutation_in_windows(self.shards, self.window, self.seed, epoch)
            return permutation(self.length, self.seed, epoch)
        _tell_epoch(self.sampler, epoch)
        return self._checked(self.sampler, "sampler")

    def _plan_of_batches(self, epoch: int, start: int) -> EpochPlan:
        _tell_epoch(self.batch_sampler, epoch)
        batches = [self._checked(batch, "batch_sampler") for batch in self.batch_sampler]
        if any(len(batch) == 0 for batch in batches):  # two steps would share a position
            raise ValueError("batch_sampler gives an empty batch; leave it out")
        ends = np.cumsum([0, *(len(batch) for batch in batches)])
        first = int(np.searchsorted(ends, start))
        if first == len(ends) or ends[first] != start:
            raise ValueError(
                f"position {start} is no end of a batch of the batch_sampler; resume with the batch_sampler of the state"
            )
        steps = -(-(len(batches) - first) // self.world_size)

        def batch(k: int) -> Indices:
            number = first + k * self.world_size + self.rank
            mine: Indices = batches[number % len(batches)].copy()
            return mine

        return EpochPlan(epoch, start, steps, batch, lambda k: int(ends[min(first + k * self.world_size, len(batches))]))

    def _checked(self, given: Any, what: str) -> Indices:
        indices: Indices = np.fromiter((_whole(index, f"an index of {what}") for index in given), np.int64)
        outside: Indices = indices[(indices < 0) | (indices >= self.length)]
        if len(outside):
            raise IndexError(f"{what} gives the index {outside[0]}; the source has 0..{self.length - 1}")
        return indices


def _tell_epoch(sampler: Any, epoch: int) -> None:
    for taker in (sampler, getattr(sampler, "sampler", None)):  # a batch sampler's own sampler draws the order
        set_epoch = getattr(taker, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)


def _whole(value: Any, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is a whole number, not {value!r}") from None
