"""What `benchmarks._transfer` measured, as a table and in words."""

from __future__ import annotations

import statistics
from collections.abc import Collection

from benchmarks import _bytes, _harness
from benchmarks._harness import kilobytes, percentile, ratio
from benchmarks._transfer import CAP, SHORT, SIZE, TARGET, Sent, Transfer, decibels

LITTLE = 0.1  # of the bytes: a smaller saving is none


def table(out: _harness.Console, found: Transfer, recipe: str) -> _harness.Table:
    """One recipe: bytes, their ratios, the share of coefficients, and the error."""
    sizes_heads = ("\nmean", "\nmedian", "\np99", "/ RGB\nu8 224", "/ RGB\nu8 448", '/\n"all"')
    shares_heads = ("posi-\ntions", "non-\nzeros", "raw dB\nmean (p10)", "norm. dB\nmean (p10)")
    heads = ("transfer,\nkB an image", "channels\nout", *sizes_heads, *shares_heads)
    base = found.everything(recipe)

    def make(left_out: Collection[int]) -> _harness.Table:
        title = f"What is sent for {recipe}"
        made = _harness.table(title, _harness.without(heads, left_out), _caption(found, recipe))
        for one in found.of(recipe):
            positions, nonzeros, _ = found.shares(one)
            exact = one is base
            sizes = [kilobytes(value) for value in (one.mean, statistics.median(one.sizes), percentile(one.sizes, 99))]
            shares = [ratio(one.mean / other) for other in (_bytes.RGB224, _bytes.RGB448, base.mean)]
            errors = ["exact", "exact"] if exact else [_decibels(one.raw), _decibels(one.normalised)]
            channels = "any" if exact else str(one.channels)
            cells = (one.mode.label, channels, *sizes, *shares, f"{positions:.0%}", f"{nonzeros:.0%}", *errors)
            made.add_row(*_harness.without(cells, left_out), style="bold" if one.mode.transfer == "auto" else None)
        return made

    return _harness.fitted(out, make, spare=(8, 10, 3, 6, 4))


def notes(found: Transfer) -> list[str]:
    """Where band-limited transfer saves nothing, from these files' own figures, and where it is another picture."""
    said = []
    for recipe in found.scales:
        said += _saving(found, recipe)
        said += [note for one in found.of(recipe) if one.mode.transfer != "all" for note in _error(found, one)]
    return said


def _error(found: Transfer, one: Sent) -> list[str]:
    """A line where a mode's picture is far from the full one, for all images or for those that were cut."""
    begin, cut = f"{one.recipe}: {_words(one)}", found.of_cut(one)
    if decibels(one.normalised)["mean"] <= TARGET:
        share = ratio(one.mean / found.everything(one.recipe).mean)
        prune = ": another picture, not a cheaper one" if one.mode.transfer == SHORT else ""
        text = f"{begin}: {_decibels(one.normalised)} dB normalised (mean, lowest tenth)"
        return [f"{text} at {share} x the bytes of everything{prune}."]
    if cut and decibels(cut)["mean"] <= TARGET:
        share = f"{len(cut) / len(one.sizes):.0%}"
        return [f"{begin}: {_decibels(cut)} dB normalised (mean, lowest tenth) over the {share} that were not sent whole."]
    return []


def _saving(found: Transfer, recipe: str) -> list[str]:
    base, said = found.everything(recipe), []
    bands = [one for one in found.of(recipe) if one.mode.transfer == "auto"]
    little = [one for one in bands if one.mean > (1 - LITTLE) * base.mean]
    if little:
        enlarged = sum(min(scale) < 1 for scale in found.scales[recipe]) / len(base.sizes)
        saved = ", ".join(f"{_words(one)} saves {max(0.0, 1 - one.mean / base.mean):.1%}" for one in little)
        whole = f"{enlarged:.0%} of the crops are enlarged on an axis and go whole"
        said.append(f"{recipe}: {saved}; {whole} (median scale {_scale(found, recipe):.2f}).")
    costly = [one for one in bands if one.mean > _bytes.RGB448]
    if costly:
        listed = ", ".join(f"{_words(one)} {ratio(one.mean / _bytes.RGB448)} x" for one in costly)
        text = f"{recipe}: more than RGB u8 {SIZE} in the mean: {listed}"
        said.append(f"{text}; pixels resized on the CPU cost fewer bytes.")
    return said


def _caption(found: Transfer, recipe: str) -> str:
    text = f"Median scale {_scale(found, recipe):.2f} native pixels an output pixel. "
    text += f"dB against everything sent, by image, capped at {CAP:g}; in brackets the lowest tenth."
    for one in found.of(recipe):
        if one.is_promised:
            mean = decibels(one.normalised)["mean"]
            text += f"\n{_words(one)}: {mean:.1f} dB normalised, "
            text += f"{'above' if mean > TARGET else 'not above'} the {TARGET:g} that it promises on ImageNet's files"
            cut = found.of_cut(one)
            text += f"; of the images that were not sent whole ({len(cut)}) {_decibels(cut)}." if cut else "."
    return text


def _scale(found: Transfer, recipe: str) -> float:
    return float(statistics.median((down * across) ** 0.5 for down, across in found.scales[recipe]))


def _decibels(values: list[float]) -> str:
    shown = decibels(values)
    return f"{shown['mean']:.1f} ({shown['p10']:.1f})"


def _words(one: Sent) -> str:
    return f"{one.mode.label} for {one.channels} channels"
