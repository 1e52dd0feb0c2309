"""The figures of `benchmarks.bandwidth` about the loader's transfer modes: what is counted, and what a decibel is."""

from __future__ import annotations

import io

import pytest

torch = pytest.importorskip("torch", reason="the error is measured on pictures, which need torch")
pytest.importorskip("rich", reason="benchmarks need rich (make demo installs it)")
_transfer = pytest.importorskip("benchmarks._transfer", reason="the benchmarks are not beside these tests")

from benchmarks import _data, _transfer_report, readme
from dctload import ChannelSelection
from support import pixels as px


@pytest.fixture(scope="module")
def found():
    """One file that both crops enlarge, one that both shrink by three or more, one without colour, one of four components."""
    files = [("small", px.built(96, 120, "4:2:0")), ("large", _noise(2400, 2000)), ("gray", px.built(90, 70, "gray"))]
    content = (*files, ("cmyk", _noise(64, 64, "CMYK")))
    return _transfer.measure(_data.FileSet("made", tuple(_data.JPEGFile(*file) for file in content)), [1, 3])


def test_a_decibel_is_a_tenth_of_the_logarithm_of_energies_and_capped() -> None:
    want = torch.full((4, 2, 3, 3), 10.0)
    off = torch.tensor([0.1, 1.0, 0.0, 10.0])[:, None, None, None]
    assert _transfer.signal_to_noise(want + off, want) == pytest.approx([40, 20, _transfer.CAP, 0], abs=1e-4)


def test_normalising_divides_each_channel_by_the_spread_of_the_preset() -> None:
    from dctload.transforms import Normalize

    selection = ChannelSelection.parse("24s")
    x = torch.arange(24.0).reshape(1, 24, 1, 1).repeat(1, 1, 2, 2)
    made = (_transfer._normalised(x + 1, selection) - _transfer._normalised(x, selection))[0, :, 0, 0]
    places = [64 * k + f for k, part in enumerate((selection.y, selection.cb, selection.cr)) for f in part]
    assert made.numpy() == pytest.approx(1 / Normalize("imagenet")._std[places], rel=1e-3)


@pytest.mark.parametrize("recipe", _transfer.RECIPES)
def test_enlarged_images_go_whole_and_shrunk_ones_lose_frequencies(found, recipe: str) -> None:
    everything = found.everything(recipe)
    assert [max(scale) < 1 for scale in found.scales[recipe]] == [True, False, True]
    for one in found.of(recipe):
        if one.mode.transfer != "auto":
            continue
        for place in (0, 2):
            assert one.sizes[place] == everything.sizes[place] and one.normalised[place] == _transfer.CAP
        assert one.sizes[1] < everything.sizes[1] and one.nonzeros[1] < everything.nonzeros[1]
        assert 10 < one.normalised[1] < _transfer.CAP
        assert found.of_cut(one) == [one.normalised[1]]


@pytest.mark.parametrize("recipe", _transfer.RECIPES)
def test_more_margin_costs_bytes_and_buys_decibels_and_pruning_buys_none(found, recipe: str) -> None:
    by_mode = {(one.mode.transfer, one.mode.output, one.mode.margin): one for one in found.of(recipe)}
    little, more, pruned = by_mode["auto", "24s", 1], by_mode["auto", "24s", 3], by_mode["24s", "24s", None]
    assert little.sizes[1] < more.sizes[1] < by_mode["auto", "all", 3].sizes[1]
    assert little.normalised[1] < more.normalised[1]
    assert pruned.normalised[0] < 20 < more.normalised[0]  # an enlarged crop of cut blocks is another picture


def test_files_without_luma_and_chroma_are_left_out_and_named(found) -> None:
    assert [file.name for file in found.files.files] == ["small", "large", "gray"]
    assert len(found.skipped) == 1 and found.skipped[0].startswith("cmyk: 4 components")


def test_rows_hold_what_the_pages_show(found) -> None:
    rows = [row.as_json() for row in found.rows()]
    table = readme.transfer_table({"rows": rows}).splitlines()
    assert len(table) == 2 + len(rows) == 2 + 2 * 6
    assert {line.count("|") for line in table} == {13}
    for row in rows:
        base = found.everything(row["recipe"])
        assert row["ratio"]['transfer="all"'] == pytest.approx(row["mean"] / base.mean, abs=1e-3)
        assert (row["snr_db"] is None) == (row["transfer"] == "all")
    promised = [row for row in rows if "target_db" in row]
    assert [(row["margin"], row["output_channels"]) for row in promised] == [(3, 24)] * 2
    assert all(row["met"] == (row["snr_db"]["normalised"]["mean"] > row["target_db"]) for row in promised)


def test_notes_name_what_is_not_saved_and_the_other_picture(found) -> None:
    pruned = [note for note in _transfer_report.notes(found) if "another picture" in note]
    assert [note.split(":")[0] for note in pruned] == list(_transfer.RECIPES)


def _noise(width: int, height: int, mode: str = "RGB") -> bytes:
    """A picture with something at every frequency, more at the low ones."""
    image = pytest.importorskip("PIL.Image", reason="the large file is made with Pillow")
    generator = torch.Generator().manual_seed(1)
    layers = [
        torch.nn.functional.interpolate(
            torch.randn(1, 3, -(-height // step), -(-width // step), generator=generator), (height, width), mode="bilinear"
        )
        for step in (1, 4, 16)
    ]
    samples = (128 + 12 * layers[0] + 20 * layers[1] + 30 * layers[2]).clamp(0, 255)[0].permute(1, 2, 0).byte()
    out = io.BytesIO()
    image.fromarray(samples.numpy()).convert(mode).save(out, "JPEG", quality=92, subsampling="4:2:0" if mode == "RGB" else -1)
    return out.getvalue()
