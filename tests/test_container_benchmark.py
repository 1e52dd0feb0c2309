"""The container comparison: records come back, faults are told apart, ranges are those that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rich", reason="benchmarks need rich (make demo installs it)")
pytest.importorskip("pyarrow", reason="records lie in Arrow files")
pytest.importorskip("benchmarks._records", reason="the benchmarks are not beside these tests")

from benchmarks import _container_session, _ranges, _records, _shard_race, _shard_report
from benchmarks._container_report import _cut_words, _flip_words
from benchmarks._records import Records
from dctload import shards

MAPPED = ("raw", "arrow", "arrow crc")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    rng = np.random.default_rng(3)
    made = [rng.integers(0, 256, size, np.uint8).tobytes() for size in (1, 700, 20_000, 3_001)]
    return _records.write(tmp_path / "records", made, 150)


def opened(maker: str, records: Records, folder: Path, files: int = 3) -> _container_session.Session:
    session = _container_session.Session()
    session.open(maker, str(records.folder), str(folder), files)  # raises where a record is not as it was written
    return session


@pytest.mark.parametrize("maker", MAPPED)
def test_records_lie_where_the_container_says(maker: str, records: Records, tmp_path: Path) -> None:
    places = opened(maker, records, tmp_path / "c").places()
    assert places is not None and len(places) == len(records)
    for i, (name, offset, nbytes) in enumerate(places):
        assert (tmp_path / "c" / name).read_bytes()[offset : offset + nbytes] == records[i].tobytes()


@pytest.mark.parametrize("maker, expected", [("raw", "unseen"), ("arrow", "unseen"), ("arrow crc", "caught")])
def test_only_a_checksum_sees_a_flipped_bit(maker: str, expected: str, records: Records, tmp_path: Path) -> None:
    session = opened(maker, records, tmp_path / "c", files=1)
    before = sorted((tmp_path / "c").iterdir())[0].read_bytes()
    assert [session.flip(number) for number in range(3)] == [expected] * 3
    assert sorted((tmp_path / "c").iterdir())[0].read_bytes() == before


def test_a_cut_arrow_file_is_saved_up_to_its_last_whole_batch(records: Records, tmp_path: Path) -> None:
    cut = opened("arrow", records, tmp_path / "c", files=1).cut()
    assert not cut["opens"] and cut["saved"] == 128  # two of the batches of 64, 64 and 22 rows
    assert _cut_words(cut) == "does not open; 128 of 150 saved as a stream"


def test_a_container_that_gives_other_bytes_takes_no_part(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: object, indices: list[int], out: np.ndarray) -> int:
        return sum(len(records[i]) for i in indices)

    monkeypatch.setattr(_container_session.MAKERS["raw"], "read", read)
    with pytest.raises(ValueError, match="not as they were written"):
        opened("raw", records, tmp_path / "c")


def test_ranged_requests_bring_what_they_ask_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(200)))
    with _ranges.FileServer(tmp_path) as server:
        _, found = _ranges.fetch(server.port, [("a", 0, 1), ("a", 190, 10), ("a", 7, 5)])
        assert found == [bytes([0]), bytes(range(190, 200)), bytes(range(7, 12))]
        with pytest.raises(ValueError, match="404"):
            _ranges.fetch(server.port, [("b", 0, 1)])


def test_the_synthetic_index_opens_as_a_set(tmp_path: Path) -> None:
    _shard_race.write_index(tmp_path / "s.dct", 2500)
    opened = shards.open(tmp_path / "s.dct")
    assert len(opened) == 2500 and opened.targets[-1] == 499 and opened.keys[2499].endswith("_2499.JPEG")


def test_shards_are_held_against_batches_of_their_own_size() -> None:
    batches = {variant.key: variant.batch for variant in _shard_race.CONTESTANTS}
    assert len(batches) == len(_shard_race.CONTESTANTS)
    for bar in _shard_report.BARS:
        assert bar.ours in batches and bar.other in batches
        assert bar.what != "a plain copy" or batches[bar.ours] == batches[bar.other]
    assert sum(bar.promised and batches[bar.ours] == 256 for bar in _shard_report.BARS) == 12


def test_outcomes_in_words() -> None:
    assert _flip_words({"unseen": 7}) == "unseen"
    assert _flip_words({"caught": 1, "unseen": 6}) == "caught 1 of 7, unseen 6 of 7"
    assert _cut_words({"records": 9, "waits": 1}) == "reading waits for ever"
    told = {"records": 9, "opens": 1, "right": 8, "wrong": 0, "raises": 1, "saved": None}
    assert _cut_words(told) == "1 of 9 reads raise"
    assert _cut_words({**told, "wrong": 2, "right": 6}) == "2 of 9 wrong without a word"
