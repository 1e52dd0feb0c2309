"""The order of an epoch: the same for any number of ranks, each sample once, exact from any position on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="dctload.data needs torch")

from dctload.data.order import EpochOrder, EpochPlan, permutation, replacements

lengths = st.integers(0, 90)
sizes = st.integers(1, 9)
worlds = st.integers(1, 6)
KNOWN = [0, 1, 2, 10, 7, 5, 6, 11, 9, 8, 4, 3], [10, 5, 8, 9, 6, 3, 7, 0, 11, 1, 2, 4]


def plans(order: dict[str, Any], world_size: int, epoch: int = 0, start: int = 0) -> list[EpochPlan]:
    """Every rank's plan."""
    return [EpochOrder(**order, rank=rank, world_size=world_size).plan(epoch, start) for rank in range(world_size)]


def handed_out(ranks: list[EpochPlan], batches: int | None = None) -> list[int]:
    """All samples of the first batches of all ranks."""
    return [int(i) for plan in ranks for k in range(len(plan) if batches is None else batches) for i in plan[k]]


def test_a_permutation_is_known_by_seed_and_epoch() -> None:
    # Written down, not computed: saved states must mean the same samples after an upgrade and on another machine.
    assert permutation(12, 3, 0).tolist() == KNOWN[0]
    assert permutation(12, 3, 1).tolist() == KNOWN[1]
    assert permutation(12, -1, 0).tolist() == permutation(12, 2**64 - 1, 0).tolist()


@given(lengths, st.integers(0, 2**64 - 1), st.integers(0, 200))
def test_a_permutation_holds_every_sample_once(length: int, seed: int, epoch: int) -> None:
    drawn = permutation(length, seed, epoch)
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(length))


def test_every_place_is_equally_likely() -> None:
    count = np.zeros((5, 5))
    for seed in range(4000):
        count[np.arange(5), permutation(5, seed, 0)] += 1
    chi_square = float(((count - 800) ** 2 / 800).sum())
    assert chi_square < 45  # 16 degrees of freedom: 0.01 % of fair draws pass 45


@given(lengths, sizes, worlds, st.booleans(), st.booleans())
def test_ranks_share_the_epoch(length: int, batch_size: int, world_size: int, shuffle: bool, drop_last: bool) -> None:
    order = {"length": length, "batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    ranks = plans(order, world_size, epoch=2)
    assert {len(plan) for plan in ranks} == {len(EpochOrder(**order, world_size=world_size))}
    shapes = {tuple(len(batch) for batch in plan) for plan in ranks}
    assert len(shapes) == 1
    (shape,) = shapes
    assert all(size == batch_size for size in shape[:-1])
    seen = handed_out(ranks)
    if drop_last:
        assert len(seen) == len(set(seen)) == length // (batch_size * world_size) * batch_size * world_size
    else:
        assert set(seen) == set(range(length))
        assert len(seen) - length < world_size


@given(lengths, sizes, worlds, st.booleans())
def test_a_step_of_all_ranks_is_a_large_batch_of_one(length: int, batch_size: int, world_size: int, drop_last: bool) -> None:
    order = {"length": length, "shuffle": True, "drop_last": drop_last}
    one = EpochOrder(**order, batch_size=batch_size * world_size).plan(0)
    ranks = plans({**order, "batch_size": batch_size}, world_size)
    for k, batch in enumerate(one):
        assert set(batch.tolist()) <= {int(i) for plan in ranks for i in plan[k]}
        assert one.position_after(k + 1) == ranks[0].position_after(k + 1)


@settings(max_examples=200)
@given(lengths, sizes, worlds, sizes, worlds, st.data())
def test_resuming_onto_any_number_of_ranks_gives_the_rest_once(
    length: int, batch_size: int, world_size: int, other_size: int, other_world: int, data: st.DataObject
) -> None:
    first = plans({"length": length, "batch_size": batch_size, "shuffle": True}, world_size)
    done = data.draw(st.integers(0, max(0, len(first[0]) - 1)), label="batches handed out")
    seen = handed_out(first, done)
    position = first[0].position_after(done)
    assert position == len(seen) == len(set(seen))
    second = plans({"length": length, "batch_size": other_size, "shuffle": True}, other_world, start=position)
    assert len({len(plan) for plan in second}) == 1
    rest = handed_out(second)
    assert set(rest) >= set(range(length)) - set(seen)
    assert len(rest) - (length - position) < other_world
    if len(rest) == length - position:
        assert not set(rest) & set(seen)


@given(lengths, sizes, worlds, st.booleans(), st.data())
def test_resuming_onto_as_many_ranks_gives_the_same_batches(
    length: int, batch_size: int, world_size: int, drop_last: bool, data: st.DataObject
) -> None:
    order = {"length": length, "batch_size": batch_size, "shuffle": True, "drop_last": drop_last}
    for rank, plan in enumerate(plans(order, world_size)):
        cut = data.draw(st.integers(0, len(plan)), label="cut")
        rest = EpochOrder(**order, rank=rank, world_size=world_size).plan(0, plan.position_after(cut))
        assert [batch.tolist() for batch in rest] == [plan[k].tolist() for k in range(cut, len(plan))]
        assert rest.position_after(len(rest)) == plan.position_after(len(plan))


def test_without_shuffling_the_order_is_the_sources() -> None:
    plan = EpochOrder(7, batch_size=3).plan(4)
    assert [batch.tolist() for batch in plan] == [[0, 1, 2], [3, 4, 5], [6]]
    assert plan[-1].tolist() == [6]
    with pytest.raises(IndexError):
        plan[3]


def test_what_is_handed_out_can_be_written_to() -> None:
    plan = EpochOrder(4, batch_size=4).plan(0)
    plan[0][:] = 9
    assert plan[0].tolist() == [0, 1, 2, 3]


class Told(list[Any]):
    """A sampler that keeps the epochs that it was told."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.epochs: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


def test_a_samplers_order_is_taken_as_it_is() -> None:
    sampler = Told([5, 5, 0, np.int32(3), 1])
    order = EpochOrder(6, batch_size=2, sampler=sampler)
    assert [batch.tolist() for batch in order.plan(7)] == [[5, 5], [0, 3], [1]]
    assert sampler.epochs == [7]
    assert len(order) == 3
    assert [batch.tolist() for batch in order.plan(7, start=2)] == [[0, 3], [1]]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=9), worlds, st.data())
def test_a_batch_samplers_batches_are_dealt_to_the_ranks(batches: list[list[int]], world_size: int, data: st.DataObject) -> None:
    order = {"length": 10, "batch_sampler": batches}
    ranks = plans(order, world_size)
    assert {len(plan) for plan in ranks} == {-(-len(batches) // world_size)} == {len(EpochOrder(**order, world_size=world_size))}
    dealt = [ranks[j % world_size][j // world_size].tolist() for j in range(len(ranks[0]) * world_size)]
    assert dealt == [batches[j % len(batches)] for j in range(len(dealt))]
    done = data.draw(st.integers(0, len(ranks[0])), label="batches handed out")
    position = ranks[0].position_after(done)
    assert position == sum(len(batch) for batch in batches[: done * world_size])
    rest = plans(order, 1, start=position)[0]
    assert [batch.tolist() for batch in rest] == batches[done * world_size :]


def test_a_batch_samplers_own_sampler_is_told_the_epoch() -> None:
    batches = Told([[0], [1]])
    batches.sampler = Told([])  # type: ignore[attr-defined]
    EpochOrder(2, batch_sampler=batches).plan(3)
    assert batches.epochs == batches.sampler.epochs == [3]  # type: ignore[attr-defined]


def test_a_position_inside_a_batch_of_the_batch_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="position 1 is no end of a batch"):
        EpochOrder(4, batch_sampler=[[0, 1], [2, 3]]).plan(0, start=1)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="an empty batch"):
        EpochOrder(4, batch_sampler=[[0], []]).plan(0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "batch_size is 1 or more"),
        ({"world_size": 0}, "world_size is 1 or more"),
        ({"rank": 2, "world_size": 2}, "rank is 0..1"),
        ({"rank": -1}, "rank is 0 or more"),
        ({"sampler": [0], "shuffle": True}, "exclude each other"),
        ({"batch_sampler": [[0]], "batch_size": 4}, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "sampler": [0]}, "batch_sampler excludes"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpochOrder(4, **options)


def test_a_sampler_without_an_end_is_refused() -> None:
    with pytest.raises(TypeError, match="sampler is something to go through with a len"):
        EpochOrder(4, sampler=iter([0, 1]))


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_the_source_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"sampler gives the index {index}; the source has 0..3"):
        EpochOrder(4, sampler=[0, index]).plan(0)


def test_a_position_beyond_the_epoch_is_refused() -> None:
    order = EpochOrder(4)
    assert len(order.plan(0, start=4)) == 0
    with pytest.raises(ValueError, match="position 5 of an epoch of 4"):
        order.plan(0, start=5)


def test_a_state_is_read_back() -> None:
    saved = EpochOrder(100, batch_size=4, shuffle=True, seed=9).state_dict(3, 48)
    assert EpochOrder(100, batch_size=8, shuffle=True, seed=9, rank=1, world_size=2).position_of(saved) == (3, 48)


@pytest.mark.parametrize(
    "other, message",
    [
        ({"length": 101}, "length 100, this loader has 101.*open the source"),
        ({"shuffle": False}, "pass shuffle=True"),
        ({"seed": 8}, "pass seed=9"),
    ],
)
def test_a_state_of_something_else_is_refused(other: dict[str, Any], message: str) -> None:
    saved = EpochOrder(100, shuffle=True, seed=9).state_dict(0, 10)
    with pytest.raises(ValueError, match=message):
        EpochOrder(**{"length": 100, "shuffle": True, "seed": 9, **other}).position_of(saved)


@pytest.mark.parametrize("state", [None, {}, {"epoch": 1, "position": 2}])
def test_what_is_no_state_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match="a state as state_dict gives it has version, epoch, position"):
        EpochOrder(4).position_of(state)


def test_a_state_of_another_version_or_with_nonsense_is_refused() -> None:
    order = EpochOrder(4)
    with pytest.raises(ValueError, match="version 2"):
        order.position_of({**order.state_dict(0, 0), "version": 2})
    with pytest.raises(ValueError, match="0 or more, not 0 and -1"):
        order.position_of(order.state_dict(0, -1))


@given(st.integers(2, 50), st.integers(0, 9), st.data())
def test_replacements_are_other_samples_drawn_from_the_same_facts(length: int, epoch: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, length - 1))
    first, second = replacements(length, 5, epoch, index), replacements(length, 5, epoch, index)
    drawn = list(first)
    assert drawn == list(second)
    assert sorted(drawn) == [i for i in range(length) if i != index]


def test_replacements_differ_from_sample_to_sample_and_are_drawn_one_by_one() -> None:
    firsts = {next(replacements(10**9, 0, 0, index)) for index in range(50)}
    assert len(firsts) == 50
    assert list(replacements(1, 0, 0, 0)) == []
