"""`verify` finds every flipped bit, names the images that it hit, and compares with the source."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

from dctload import _core, shards
from dctload.shards.layout import Manifest, index_schema
from dctload.shards.resized import Changer
from support.shard_sets import files_of, images_of, picture, set_fixtures

COUNT = 10


source, stored = set_fixtures(COUNT, least=2, bad=["a/bad.jpg"], channels="24s", shard_size="5KiB", on_error="skip")


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "copy.dct"))


def manifest(folder: Path) -> Manifest:
    return Manifest.from_json((folder / "manifest.json").read_text(), "manifest")


def rewritten(folder: Path, **facts: object) -> None:
    (folder / "manifest.json").write_text(dataclasses.replace(manifest(folder), **facts).to_json())  # type: ignore[arg-type]


def test_a_sound_set_is_ok(stored: Path, source: Path) -> None:
    told: list[tuple[int, int]] = []
    report = shards.verify(stored, against=source, progress=lambda *counts: told.append(counts))
    assert report.ok and report.images == COUNT and (report.damaged, report.problems, report.notes) == ([], [], [])
    assert [(key, code) for key, code, _ in report.failed] == [("a/bad.jpg", "not_jpeg")]
    assert told[-1] == (2 * COUNT + 2, 2 * COUNT + 2) and sorted(told) == told


@pytest.mark.parametrize("name", ["manifest.json", "index.arrow", "shard-00000.arrow"])
def test_every_flipped_bit_is_found(copy: Path, name: str) -> None:
    data, rng = (copy / name).read_bytes(), np.random.default_rng(len(name))
    step = max(1, len(data) // 400)
    for at in range(0, len(data), step):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        (copy / name).write_bytes(damaged)
        assert not shards.verify(copy, workers=1).ok, (name, at)


def test_the_image_that_was_hit_is_named(copy: Path) -> None:
    s = shards.open(copy)
    row = {name: s.column(name)[4].as_py() for name in ("shard", "offset", "nbytes", "key")}
    path = copy / f"shard-{row['shard']:05d}.arrow"
    data = bytearray(path.read_bytes())
    data[row["offset"] + row["nbytes"] // 2] ^= 16
    path.write_bytes(data)
    report = shards.verify(copy)
    assert report.damaged == [(row["key"], "its checksum is wrong")] and len(report.problems) == 1
    assert path.name in report.problems[0]


def test_a_cut_and_an_absent_file_are_told(copy: Path) -> None:
    last = sorted(copy.glob("shard-*"))[-1]
    data = last.read_bytes()
    last.write_bytes(data[: len(data) // 2])
    report = shards.verify(copy)
    assert not report.ok and f"{last.name} has {len(data) // 2} bytes" in report.problems[0] and report.damaged
    last.unlink()
    report = shards.verify(copy)
    assert not report.ok and f"{last.name} cannot be read" in report.problems[0]
    (copy / "index.arrow").unlink()
    assert any("index.arrow cannot be read" in problem for problem in shards.verify(copy).problems)


def test_an_index_that_does_not_fit_its_shards_is_found(copy: Path) -> None:
    """Checksums that are right do not help: somebody wrote another index."""
    table = pa.ipc.open_file((copy / "index.arrow").read_bytes()).read_all()
    order = [1, 0, *range(2, COUNT)]
    swapped = table.set_column(table.schema.get_field_index("key"), "key", table["key"].take(pa.array(order)))
    with pa.OSFile(str(copy / "index.arrow"), "wb") as file, pa.ipc.new_file(file, index_schema()) as writer:
        writer.write_table(swapped.combine_chunks())
    rewritten(copy, index_crc32c=_core.crc32c((copy / "index.arrow").read_bytes()))
    assert shards.verify(copy).problems == ["index.arrow and shard-00000.arrow differ in key"]


def test_a_list_of_failed_samples_that_does_not_fit_the_shards_is_found(copy: Path) -> None:
    (failure,) = manifest(copy).failures
    rewritten(copy, failures=[dataclasses.replace(failure, code="io_error")])
    assert [problem[:40] for problem in shards.verify(copy).problems] == ["manifest.json lists other failed samples"[:40]]
    rewritten(copy, failures=[])
    assert "manifest.json lists 0 failed samples and counts 1 in the shards" in shards.verify(copy).problems


def test_a_manifest_in_other_words_is_found(copy: Path) -> None:
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text.replace("\n ", "\n  "))
    assert not shards.verify(copy).ok


def test_what_is_no_set_raises(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(FileNotFoundError):
        shards.verify(tmp_path / "none")
    (copy / "manifest.json").rename(copy / "plan.json")
    with pytest.raises(ValueError, match="was not finished"):
        shards.verify(copy)


class TestAgainstTheSource:
    @pytest.fixture
    def changed(self, source: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(source, tmp_path / "changed"))

    def test_another_picture_is_found(self, stored: Path, changed: Path) -> None:
        images_of(changed)[3].write_bytes(picture(99))
        report = shards.verify(stored, against=changed)
        assert report.damaged == [("a/006.jpg", "its source gives other bytes")] and not report.problems

    def test_a_sample_that_fails_now_or_no_longer_is_found(self, stored: Path, changed: Path) -> None:
        (changed / "a" / "000.jpg").write_bytes(b"nonsense")
        (changed / "a" / "bad.jpg").write_bytes(picture(1))
        damaged = dict(shards.verify(stored, against=changed).damaged)
        assert "it was ok when it was stored; its source gives not_jpeg" in damaged["a/000.jpg"]
        assert "it was not_jpeg when it was stored; its source gives ok" in damaged["a/bad.jpg"]

    def test_another_name_or_target_is_found(self, stored: Path, changed: Path) -> None:
        images_of(changed)[0].rename(changed / "a" / "0.jpg")
        assert shards.verify(stored, against=changed).damaged == [("a/000.jpg", "in its place the source has a/0.jpg")]

    def test_another_target_is_found(self, tmp_path: Path, source: Path) -> None:
        paths = images_of(source)[:3]
        shards.extract([(path, i) for i, path in enumerate(paths)], tmp_path / "list.dct")
        report = shards.verify(tmp_path / "list.dct", against=[(path, min(i, 1)) for i, path in enumerate(paths)])
        assert report.damaged == [(str(paths[2]), "its target is another in the source")]

    def test_more_samples_are_told(self, stored: Path, changed: Path) -> None:
        (changed / "b" / "more.jpg").write_bytes(picture(5))
        assert shards.verify(stored, against=changed).problems == [
            f"the set was made of {COUNT + 1} samples; the source that was given has {COUNT + 2}"
        ]

    def test_what_a_newer_release_did_cannot_be_compared(self, copy: Path, source: Path) -> None:
        rewritten(copy, quantization="resize 512 step 2 dither 1")
        report = shards.verify(copy, against=source)
        assert report.ok and "not compared" in report.notes[0] and "dither 1" in report.notes[0]

    @pytest.mark.parametrize("change", [{"requantize": 16}, {"resize": 96}])
    def test_a_changed_set_is_made_again_and_compared(
        self, tmp_path: Path, source: Path, changed: Path, change: dict[str, int]
    ) -> None:
        if "resize" in change:
            pytest.importorskip("torch")
        shards.extract(source, tmp_path / "a.dct", "24s", shard_size="5KiB", on_error="skip", **change)  # type: ignore[arg-type]
        report = shards.verify(tmp_path / "a.dct", against=source)
        assert report.ok and not report.notes
        images_of(changed)[3].write_bytes(picture(99))
        report = shards.verify(tmp_path / "a.dct", against=changed)
        assert report.damaged == [("a/006.jpg", "its source gives other bytes")] and not report.notes

    @pytest.mark.parametrize("off, damaged", [(1, 0), (-1, 0), (2, 1)])
    def test_a_resized_value_may_round_to_the_next_step(
        self, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, off: int, damaged: int
    ) -> None:
        """One value of one image comes out otherwise, as on another CPU."""
        pytest.importorskip("torch")
        path = images_of(source)[0]
        shards.extract([(path, 0)], tmp_path / "a.dct", "24s", resize=96)
        real = Changer._resample

        def elsewhere(self: Changer, *arguments: Any) -> Any:
            values = real(self, *arguments)
            values[0, 3, 1, 1] += off
            return values

        monkeypatch.setattr(Changer, "_resample", elsewhere)
        report = shards.verify(tmp_path / "a.dct", against=[(path, 0)])
        assert len(report.damaged) == damaged and report.ok == (not damaged)
        assert ["of 1 resized images" in note for note in report.notes] == [True] * (1 - damaged)

    def test_a_coarser_step_is_exact_so_that_one_step_is_damage(
        self, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = images_of(source)[0]
        shards.extract([(path, 0)], tmp_path / "a.dct", "24s", requantize=16)
        real = np.rint
        monkeypatch.setattr(np, "rint", lambda values, **more: real(values, **more) + 1)
        report = shards.verify(tmp_path / "a.dct", against=[(path, 0)])
        assert report.damaged == [(str(path), "its source gives other bytes")] and not report.notes

    def test_only_sound_shards_are_compared(self, copy: Path, source: Path) -> None:
        path = copy / "shard-00000.arrow"
        path.write_bytes(path.read_bytes()[:-1])
        assert not shards.verify(copy, against=source).damaged[1:]  # the last record may be what the missing byte was of


def test_a_check_leaves_the_set_as_it_was(stored: Path, source: Path) -> None:
    before = files_of(stored)
    shards.verify(stored, against=source)
    assert files_of(stored) == before
