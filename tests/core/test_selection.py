"""ChannelSelection: presets, text form, zigzag order, scores."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dctload
from dctload import ChannelSelection
from oracle import ZIGZAG

# Issue 2's table, row-major numbers: luma, then both chroma components.
WRITTEN_OUT = {
    "6s": ([0, 1, 8, 9], [0]),
    "12s": ([0, 1, 2, 8, 9, 10, 16, 17], [0, 1]),
    "24d": ([0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 24, 32], [0, 1, 3, 8, 24]),
    "24s": ([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27], [0, 1, 8, 9]),
    "32s": ([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, 24, 25, 26, 27, 32, 33, 34], [0, 1, 2, 8, 9]),
    "48s": (
        [*range(6), *range(8, 14), *range(16, 22), *range(24, 30), *range(32, 36), *range(40, 44)],
        [0, 1, 2, 8, 9, 10, 16, 17],
    ),
    "64s": (
        [*range(7), *range(8, 15), *range(16, 22), *range(24, 30), *range(32, 38), *range(40, 46), *range(48, 54)],
        [0, 1, 2, 8, 9, 10, 16, 17, 24, 25],
    ),
}
BY_ZIGZAG = {"24t": (14, 5), "48t": (32, 8), "64t": (44, 10), "88": (64, 12), "all": (64, 64)}

frequencies = st.sets(st.integers(0, 63))


def text_of(*lists: set[int] | list[int]) -> str:
    return ";".join(f"{name}:{','.join(map(str, kept))}" for name, kept in zip(("y", "cb", "cr"), lists, strict=True))


@pytest.mark.parametrize("name", [*WRITTEN_OUT, *BY_ZIGZAG])
def test_presets_are_those_of_the_issue(name: str) -> None:
    if name in WRITTEN_OUT:
        luma, chroma = WRITTEN_OUT[name]
    else:
        luma, chroma = (sorted(ZIGZAG[:count]) for count in BY_ZIGZAG[name])
    selection = ChannelSelection.parse(name)
    assert selection.y == tuple(luma)
    assert selection.cb == selection.cr == tuple(chroma)
    assert len(selection) == len(luma) + 2 * len(chroma)


def test_the_list_of_presets_is_complete() -> None:
    assert set(ChannelSelection.presets()) == {*WRITTEN_OUT, *BY_ZIGZAG}
    for name in ChannelSelection.presets():
        digits = "".join(c for c in name if c.isdigit())
        assert len(ChannelSelection.parse(name)) == (int(digits) if digits else 192)


@given(frequencies, frequencies, frequencies)
def test_text_form_parses_back(y: set[int], cb: set[int], cr: set[int]) -> None:
    selection = ChannelSelection.parse(text_of(y, cb, cr)) if y or cb or cr else None
    if selection is None:
        return
    assert selection.y == tuple(sorted(y))
    assert selection.cb == tuple(sorted(cb))
    assert selection.cr == tuple(sorted(cr))
    again = ChannelSelection.parse(str(selection))
    assert again == selection and hash(again) == hash(selection)
    assert len(selection) == len(y) + len(cb) + len(cr)


@pytest.mark.parametrize("name", [*WRITTEN_OUT, *BY_ZIGZAG])
def test_presets_survive_their_text_form_and_pickle(name: str) -> None:
    selection = ChannelSelection.parse(name)
    assert ChannelSelection.parse(str(selection)) == selection
    assert pickle.loads(pickle.dumps(selection)) == selection
    assert ChannelSelection.parse(selection) is selection


@given(st.integers(0, 64), st.integers(0, 64), st.integers(0, 64))
def test_lowest_is_the_first_of_the_zigzag_order(y: int, cb: int, cr: int) -> None:
    if y + cb + cr == 0:
        return
    selection = ChannelSelection.lowest(y, cb, cr)
    assert selection.y == tuple(sorted(ZIGZAG[:y]))
    assert selection.cb == tuple(sorted(ZIGZAG[:cb]))
    assert selection.cr == tuple(sorted(ZIGZAG[:cr]))


@given(st.permutations(list(range(192))), st.integers(1, 192))
def test_from_scores_keeps_the_k_best(order: list[int], k: int) -> None:
    scores = np.zeros(192)
    scores[order] = np.arange(192, 0, -1)
    best = set(order[:k])
    for shape in ((192,), (3, 64)):
        selection = ChannelSelection.from_scores(scores.reshape(shape), k)
        kept = (selection.y, selection.cb, selection.cr)
        assert {64 * c + f for c, frequencies in enumerate(kept) for f in frequencies} == best


@pytest.mark.parametrize("shape", [(64,), (191,), (64, 3), (3, 8, 8), ()])
def test_scores_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        ChannelSelection.from_scores(np.zeros(shape), 3)


@pytest.mark.parametrize("k", [0, -1, 193])
def test_an_impossible_number_of_channels_is_refused(k: int) -> None:
    with pytest.raises(ValueError):
        ChannelSelection.from_scores(np.arange(192.0), k)


def test_scores_that_are_no_numbers_are_refused() -> None:
    scores = np.arange(192.0)
    scores[7] = np.nan
    with pytest.raises(ValueError):
        ChannelSelection.from_scores(scores, 24)


@pytest.mark.parametrize("text, culprit", [
    ("24q", "24q"), ("", "''"), ("y", "y"), ("25", "25"), ("y:64;cb:0;cr:0", "64"), ("y:-1;cb:0;cr:0", "-1"), ("y:a", "a"),
    ("y:0-;cb:;cr:", "0-"), ("y:5-3;cb:0;cr:0", "5-3"), ("y:0;y:1", "y"), ("x:0", "x:0"), ("y:0,0;cb:;cr:", "twice"),
    ("y:0-3,2", "2"), ("y:;cb:;cr:", "at least one"),
])  # fmt: skip
def test_nonsense_is_refused_and_named(text: str, culprit: str) -> None:
    with pytest.raises(ValueError) as caught:
        ChannelSelection.parse(text)
    assert culprit in str(caught.value)


@pytest.mark.parametrize("count", [65, -1])
def test_more_than_64_frequencies_do_not_exist(count: int) -> None:
    with pytest.raises(ValueError):
        ChannelSelection.lowest(count, 0, 0)


def test_ranges_and_spaces_and_order_do_not_matter() -> None:
    want = ChannelSelection.parse("y:0,1,2,3,8;cb:0,1;cr:0,1")
    for text in ("y:0-3,8;cb:0,1;cr:0,1", "y:8,0-3;cb:1,0;cr:0-1", "y: 0-2, 3, 8; cb:0-1; cr:1,0"):
        assert ChannelSelection.parse(text) == want


def test_selections_cannot_be_changed() -> None:
    selection = ChannelSelection.parse("6s")
    with pytest.raises((AttributeError, TypeError)):
        selection.y = (1,)  # type: ignore[misc]
    assert dctload.ChannelSelection.parse("6s").y == (0, 1, 8, 9)
