"""`DCTLoader`: batches of augmented coefficients, or pixels, on the device."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from dctload._arguments import usable_cores
from dctload.channels import ChannelSelection
from dctload.data.device import DeviceStage
from dctload.data.host import HostStage, Settings
from dctload.data.model_input import channels_of, evaluation_transform
from dctload.data.order import EpochOrder, EpochPlan
from dctload.data.run import Run
from dctload.data.statistics import LoaderStatistics
from dctload.data.stored import open_samples, stored_channels
from dctload.errors import JPEGError
from dctload.jpeg import Limits, keeps_truncated
from dctload.shards.reader import ShardSet
from dctload.transforms.base import Transform
from dctload.transforms.compose import Compose, checked_output

if TYPE_CHECKING:
    from rich.live import Live

    from dctload.data.stored import Samples

_DEVICES = ("cpu", "cuda")
_FIELDS = ("path", "index")
_PREFETCHED = 2
_INSTEAD = {
    "collate_fn": "batches are made on the device; change them with transform= or in the loop",
    "worker_init_fn": "workers are threads of one process and draw nothing; seed= decides all random numbers",
    "multiprocessing_context": "workers are threads of one process; num_workers= says how many",
    "timeout": "workers are threads that end with the loader; a file that cannot be read is an error at once",
}


class DCTLoader:
    """Iterates over batches `(x, targets)` of a folder of JPEG files; stands where a torch `DataLoader` stood.

    The CPU undoes the Huffman coding and no more; the packed coefficients go to the device, and everything else happens there.
    Order and random numbers come from (seed, epoch, sample index) alone: batches are the same for any number of workers.

    Args:
        source: A shard set (its folder, its URL, or what `dctload.shards.open` gives); a folder of class folders, a list of
            `(path or bytes, target)`, WebDataset tars, a torchvision or Hugging Face dataset, any map-style dataset of encoded
            images: see `dctload.sources.open_source`.
        batch_size: Samples a batch.
        shuffle: A new order each epoch. Of a shard set behind a URL: shards in a new order, and samples within windows of
            some of them; see `dctload.shards.open`.
        channels: Of the output, `"24s"`, ...; see `ChannelSelection`.
        transform: A `Compose`, or one step, or a list of them. None: of `cfg`; without one the loader yields
            `(DCTBatch, targets)`.
        output: `"dct"`: x is float `[B, C, rows, cols]`; `"rgb"`: `[B, 3, H, W]`, in 0..1 before `Normalize`.
        device: Where x and the targets are to be: the CPU, or a CUDA device.
        num_workers: Threads that decode; None: one a core that this process may use; 0: all work is done when a batch is asked
            for, in the caller's thread.
        drop_last: Leave out a last batch that is not full.
        sampler: Sample numbers in the order wanted.
        batch_sampler: Lists of sample numbers: the batches.
        prefetch_factor: Batches prepared ahead; None: 2.
        seed: Of the order and of all random numbers.
        rank: Of this process; None: of `torch.distributed` where that is initialised and no sampler is given (which is taken as
            this rank's own), else 0.
        world_size: Likewise, how many there are.
        on_error: A file that cannot be decoded: `"raise"`; `"skip"`: the batch is shorter; `"replace"`: another sample comes in
            its place. `report()` lists them.
        fallback: `"transcode"`: images that are no 8-bit Huffman JPEG (PNG, WebP, CMYK, ...) are decoded to pixels by Pillow and
            taken through the forward DCT; None: they are errors. For shards that is settled when they are made.
        transfer: What is sent: `"auto"`: the frequencies that matter for the picture drawn, as far as a shard set holds them;
            `"all"`; or a selection, whatever the picture needs.
        target_transform: A function of a target.
        fields: More elements of each yielded tuple: `"path"` (list of str), `"index"` (int64 `[B]`).
        backend: `"native"`.
        truncated: `"error"`, or `"keep"`: what came of a cut file counts as the image. Shards hold what counted when they were
            made.
        limits: Bounds on what is accepted of a file; likewise.
        cfg: A model's `cfg`, an object or a mapping: `channels` are taken where those are not given, and where no transform is
            given, the evaluation's is made of `input_size` and `normalization`: for 448 pixels `[Resize(512), CenterCrop(448),
            Normalize(normalization)]`.
        dtype: Of x.
        memory_format: Of x.
        generator: A `torch.Generator`: its initial seed is taken as `seed`.
        pin_memory: Accepted; batches are always sent from page-locked memory.
        persistent_workers: Accepted; threads and buffers are always kept.
        collate_fn: As all of the following, not taken: TypeError says what to do instead.
        worker_init_fn: Not taken.
        multiprocessing_context: Not taken.
        timeout: Not taken.

    Attributes:
        classes: Names of the classes by target, or None.
        device: As given.

    Raises:
        ValueError: An argument is out of range or contradicts another, `cfg` lacks what is taken from it, the source is empty,
            or a shard set does not hold the channels.
        TypeError: The source is of no known kind, or torch's argument has no meaning here.
        FileNotFoundError: The source does not exist.

    Example:
        >>> from dctload import DCTLoader, transforms as T
        >>> crop = T.Compose([T.RandomResizedCrop(448), T.RandomHorizontalFlip(), T.Normalize("imagenet")])
        >>> loader = DCTLoader("imagenet/train", batch_size=256, shuffle=True, transform=crop, device="cuda")  # doctest: +SKIP
        >>> for x, target in loader: ...  # doctest: +SKIP
    """

    def __init__(
        self,
        source: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        channels: str | ChannelSelection | None = None,
        transform: Compose | Transform | Sequence[Transform] | None = None,
        output: str = "dct",
        device: str | torch.device = "cpu",
        num_workers: int | None = None,
        drop_last: bool = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        prefetch_factor: int | None = _PREFETCHED,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        on_error: str = "raise",
        fallback: str | None = None,
        transfer: str | ChannelSelection = "auto",
        target_transform: Callable[[Any], Any] | None = None,
        fields: Sequence[str] = (),
        backend: str = "native",
        truncated: str = "error",
        limits: Limits | None = None,
        cfg: Any = None,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
        generator: torch.Generator | None = None,
        pin_memory: bool = True,
        persistent_workers: bool = True,
        collate_fn: None = None,
        worker_init_fn: None = None,
        multiprocessing_context: None = None,
        timeout: None = None,
    ) -> None:
        given = {
            "collate_fn": collate_fn,
            "worker_init_fn": worker_init_fn,
            "multiprocessing_context": multiprocessing_context,
            "timeout": timeout,
        }
        for name, value in given.items():
            if value:
                raise TypeError(f"DCTLoader takes no {name}: {_INSTEAD[name]}")
        _one_of("on_error", on_error, ("raise", "skip", "replace"))
        _one_of("fallback", fallback, (None, "transcode"))
        _one_of("backend", backend, ("native",))
        keeps_truncated(truncated)
        for field in fields:
            _one_of("a field", field, _FIELDS)
        if channels is None:
            channels = "24s" if cfg is None else channels_of(cfg)
        if transform is None and cfg is not None:
            transform = evaluation_transform(cfg)
        self.device = torch.device(device)
        _one_of("device", self.device.type, _DEVICES)
        if not dtype.is_floating_point:
            raise ValueError(f"dtype is a floating-point type, not {dtype}")
        ahead = _PREFETCHED if prefetch_factor is None else operator.index(prefetch_factor)
        if ahead < 1:
            raise ValueError(f"prefetch_factor is 1 or more, not {prefetch_factor}")
        workers = usable_cores() if num_workers is None else operator.index(num_workers)
        if workers < 0:
            raise ValueError(f"num_workers is 0 or more, not {num_workers}")

        self._source = open_samples(source)
        self.classes = self._source.classes
        if rank is None and world_size is None and (sampler is not None or batch_sampler is not None):
            rank, world_size = 0, 1  # whoever gives a sampler has split it: Lightning and Accelerate do
        rank, world_size = _ranks(rank, world_size)
        self._order = EpochOrder(
            len(self._source),
            batch_size,
            shuffle,
            seed if generator is None else generator.initial_seed(),
            drop_last,
            rank,
            world_size,
            sampler,
            batch_sampler,
            *_shuffled_in(self._source),
        )
        selection, kind = ChannelSelection.parse(channels), checked_output(output)
        sent = transfer if transfer in ("auto", "all") else ChannelSelection.parse(transfer)
        stored = stored_channels(self._source, selection, kind, sent)
        self._settings = Settings(
            None if transform is None and output == "dct" else Compose.of(transform),
            selection,
            kind,
            sent,
            self._order.seed,
            on_error,
            fallback if stored is None else None,  # what could be made of pixels was so when the set was made
            truncated,
            limits,
            stored,
        )
        self._fields, self._target_transform = tuple(fields), target_transform
        self._ahead = ahead if workers else 0
        self._statistics = LoaderStatistics()
        self._reports: dict[int, JPEGError] = {}
        threads = max(workers, 1)
        self._host = HostStage(self._source, self._settings, threads, self._statistics, self._reports.setdefault)
        self._device_stage = DeviceStage(
            self.device,
            self._settings,
            self._statistics,
            dtype=dtype,
            memory_format=memory_format,
            num_threads=threads,
        )
        self._epoch, self._position = 0, 0  # of the next iteration
        self._named = False  # whether set_epoch gave it
        self._iterations: weakref.WeakSet[_Iteration] = weakref.WeakSet()
        self._latest: _Progress | None = None
        self._closed = False

    def __len__(self) -> int:
        """Batches of a whole epoch on this rank."""
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        """The next epoch's batches; after `load_state_dict`, what is left of its epoch.

        An epoch begins with its first batch: an iterator of which none is taken (Lightning makes such) leaves all as it was.
        """
        if self._closed:
            raise RuntimeError("the loader is closed; make a new one")
        self._latest = None
        iteration = _Iteration(self)
        self._iterations.add(iteration)
        return iteration

    @property
    def batch_sampler(self) -> LoaderBatches:
        """This rank's sample numbers; Lightning says by `batch_sampler.sampler.set_epoch` which epoch it begins."""
        return LoaderBatches(self)

    def set_epoch(self, epoch: int) -> None:
        """Makes the next iteration this epoch: its order and its random numbers."""
        if operator.index(epoch) < 0:
            raise ValueError(f"epoch is 0 or more, not {epoch}")
        if epoch != self._epoch:  # the position of a state that was loaded is one of its own epoch
            self._epoch, self._position = epoch, 0
        self._named = True
        self._latest = None  # what an earlier iteration left is given up

    def state_dict(self) -> dict[str, Any]:
        """Where the latest iteration stands: which epoch, and how many samples of it were handed out, over all ranks.

        After its last batch, `set_epoch` or `load_state_dict`: where the next one begins.
        """
        if self._latest is not None and not self._latest.finished:
            return self._order.state_dict(self._latest.epoch, self._latest.position)
        return self._order.state_dict(self._epoch, self._position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Makes the next iteration go on where `state_dict` stood, on any number of ranks.

        Where no batch of its epoch is left, that is the next epoch, unless `set_epoch` asks for the state's own: then the
        iteration is empty.

        Raises:
            ValueError: The state is of another source, seed or order.
        """
        self._epoch, self._position = self._order.position_of(state)
        self._named = False
        self._latest = None

    def stats(self) -> dict[str, Any]:
        """Where the time went since the loader was made: seconds by stage, samples, bytes read and sent."""
        return self._statistics.as_dict()

    def live(self) -> Live:
        """`stats()` as a table on the terminal, up to date inside a with statement: `with loader.live(): train(loader)`."""
        return self._statistics.live()

    def report(self) -> list[JPEGError]:
        """Files that could not be decoded so far, each once, with `.source` and `.code`."""
        return [self._reports[index] for index in sorted(self._reports)]

    def close(self) -> None:
        """Ends all iterations and their threads."""
        self._closed = True
        for iteration in list(self._iterations):
            iteration.close()

    def _next_plan(self) -> EpochPlan:
        """What the next iteration reads."""
        plan = self._order.plan(self._epoch, self._position)
        ended = self._position > 0 and not len(plan) and not self._named
        return self._order.plan(self._epoch + 1) if ended else plan

    def _begins(self, plan: EpochPlan) -> _Progress:
        """Notes that this is being read now."""
        self._epoch, self._position, self._named = plan.epoch + 1, 0, False
        self._latest = _Progress(plan.epoch, plan.start)
        return self._latest

    def __enter__(self) -> DCTLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kept = self._settings.channels
        what = "rgb" if self._settings.output == "rgb" else f"{len(kept)} channels"
        size = self._order.batch_size
        return f"DCTLoader({len(self._source)} samples, {len(self)} batches of {size}, {what}, on {self.device})"


class LoaderBatches:
    """The sample numbers of a loader's next iteration, by batch: what a torch `DataLoader` has as its `batch_sampler`."""

    def __init__(self, loader: DCTLoader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader._next_plan())

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self._loader._next_plan())

    @property
    def sampler(self) -> LoaderBatches:
        """What draws the order: the same."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """As `DCTLoader.set_epoch`."""
        self._loader.set_epoch(epoch)


@dataclass(eq=False)
class _Progress:
    """How far an iteration has come; outlives it."""

    epoch: int
    position: int
    finished: bool = False


class _Iteration:
    """An epoch, or the rest of one, as an iterator. It begins, and its threads start, when the first batch is asked for."""

    def __init__(self, loader: DCTLoader) -> None:
        self._loader, self._taken, self._closed = loader, 0, False
        self._begun: tuple[EpochPlan, _Progress, Run] | None = None
        self._stop: weakref.finalize[Any, _Iteration] | None = None

    def _begin(self) -> tuple[EpochPlan, _Progress, Run]:
        loader = self._loader
        plan = loader._next_plan()
        run = Run(
            plan,
            loader._host,
            loader._device_stage,
            loader._statistics,
            loader._target_transform,
            loader._ahead,
        )
        # Also at interpreter exit, while the threads can still end.
        self._stop = weakref.finalize(self, run.stop)
        self._begun = plan, loader._begins(plan), run
        return self._begun

    def close(self) -> None:
        """Ends it and its threads."""
        self._closed = True
        if self._stop is not None:
            self._stop()

    def __iter__(self) -> _Iteration:
        return self

    def __len__(self) -> int:
        """Batches that are still to come."""
        plan = self._loader._next_plan() if self._begun is None else self._begun[0]
        return len(plan) - self._taken

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        plan, progress, run = self._begun or self._begin()
        try:
            delivered = run.take()
        except BaseException:
            self.close()
            raise
        if delivered is None:
            progress.finished = self._taken == len(plan)
            self.close()
            raise StopIteration
        self._taken += 1
        progress.position = plan.position_after(self._taken)
        loader = self._loader
        indices = delivered.prepared.indices
        loader._statistics.add("samples", len(indices))
        loader._statistics.add("batches", 1)
        names = [loader._source.name(i) for i in indices.tolist()] if "path" in loader._fields else []
        extra = {"path": names, "index": torch.from_numpy(indices.copy())}
        return (delivered.x, delivered.targets, *(extra[name] for name in loader._fields))


def _one_of(what: str, value: Any, allowed: Sequence[Any]) -> None:
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{what} is {'one of ' if len(allowed) > 1 else ''}{words}, not {value!r}")


def _shuffled_in(source: Samples) -> tuple[NDArray[np.int32] | None, int]:
    """What `EpochOrder` shuffles samples in: the shard of each, and how many shards at a time."""
    return (source.shards, source.shuffle_window) if isinstance(source, ShardSet) else (None, 0)


def _ranks(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError("rank and world_size go together")
    if rank is not None and world_size is not None:
        return rank, world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
