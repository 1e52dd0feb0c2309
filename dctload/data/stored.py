"""What a loader does differently where its samples come from a shard set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dctload.channels import ChannelSelection
from dctload.shards.reader import ShardSet, is_set, open_set
from dctload.sources import open_source
from dctload.sources.tars import is_tar
from dctload.sources.urls import is_url
from dctload.transforms.compose import ALL

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload.sources import Source

    Samples: TypeAlias = Source | ShardSet


def open_samples(source: Any) -> Samples:
    """A shard set where a path or URL stands for one; else what `open_source` makes of it."""
    if isinstance(source, ShardSet):
        return source
    if is_set(source) or (isinstance(source, str) and is_url(source) and not is_tar(source)):
        return open_set(source)
    return open_source(source)


def stored_channels(
    source: Samples, channels: ChannelSelection, output: str, transfer: str | ChannelSelection
) -> ChannelSelection | None:
    """The frequencies that the records of a shard set hold; None for files, which hold all.

    Args:
        source: Of the samples.
        channels: Of the loader's output.
        output: `"dct"` or `"rgb"`; pixels are made of whatever there is.
        transfer: `"auto"` takes what is stored; what is asked for by name must be there.

    Raises:
        ValueError: Output channels, or frequencies to be sent, are not stored.
    """
    if not isinstance(source, ShardSet):
        return None
    if output == "dct":
        source.check_stored(channels)
    if transfer != "auto":
        source.check_stored(ALL if transfer == "all" else ChannelSelection.parse(transfer), "transfer")
    return source.channels
