"""DCTLoader from the outside: what it yields, in which order, what it does with bad files, and that it goes when told to."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

import dctload
from dctload import DCTLoader, ops
from dctload import transforms as T
from dctload.data.device import collated_targets, moved, tensors
from support.real_files import DATA, needs_real_files

SIZE = (96, 80)


def picture(number: int, mode: str = "RGB", size: tuple[int, int] = SIZE) -> Any:
    """A smooth picture that differs from every other number's."""
    y, x = np.mgrid[: size[1], : size[0]]
    planes = [127 + 100 * np.sin((number + 3) * (x * a + y * b) / 300) for a, b in ((1, 2), (2, 1), (1, 1))]
    image = Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))
    return image if mode == "RGB" else image.convert(mode)


def jpeg(number: int, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    picture(number, mode).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def pairs(count: int) -> list[tuple[bytes, int]]:
    return [(jpeg(i), i % 3) for i in range(count)]


def crop(size: int = 32) -> T.Compose:
    return T.Compose([T.RandomResizedCrop(size), T.RandomHorizontalFlip(), T.Normalize("imagenet")])


def folder(root: Path, count: int = 6) -> Path:
    for i in range(count):
        path = root / ("b" if i % 2 else "a") / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(i))
    return root


# ------------------------------------------------------------------------------------------------------ what is yielded


def test_a_folder_gives_its_classes_paths_and_numbers(tmp_path: Path) -> None:
    loader = DCTLoader(folder(tmp_path), batch_size=4, transform=crop(), fields=("index", "path"))
    assert loader.classes == ["a", "b"] and len(loader) == 2
    batches = list(loader)
    assert [len(b) for b in batches[0]] == [4, 4, 4, 4]
    assert torch.cat([b[1] for b in batches]).tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.cat([b[2] for b in batches]).tolist() == list(range(6))
    assert [Path(p).name for b in batches for p in b[3]] == ["0.jpg", "2.jpg", "4.jpg", "1.jpg", "3.jpg", "5.jpg"]


def test_without_a_transform_it_yields_the_coefficients_of_whole_images() -> None:
    loader = DCTLoader(pairs(5), batch_size=5, channels="all")
    batch, targets = next(iter(loader))
    assert isinstance(batch, ops.DCTBatch) and targets.tolist() == [0, 1, 2, 0, 1]
    want = dctload.extract([data for data, _ in pairs(5)], channels="all")
    assert batch.packed.numpy().tobytes() == want.buffer.tobytes()


def test_without_a_transform_sizes_may_differ(tmp_path: Path) -> None:
    picture(1, size=(40, 24)).save(tmp_path / "small.jpg", quality=90)
    data = [(jpeg(0), 0), (b"junk", 1), (tmp_path / "small.jpg", 2)]
    batch, targets = next(iter(DCTLoader(data, 3, on_error="skip")))
    assert targets.tolist() == [0, 2] and batch.images.width.tolist() == [SIZE[0], 40]


def test_the_loader_and_compose_give_the_same() -> None:
    steps = T.Compose([T.RandomResizedCrop(40), T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.Normalize("imagenet")])
    loader = DCTLoader(pairs(7), batch_size=7, channels="24s", transform=steps, seed=11, transfer="all")
    loader.set_epoch(4)
    x, _ = next(iter(loader))
    batch = ops.unpack(dctload.extract([data for data, _ in pairs(7)], channels="all"))
    assert torch.allclose(x, steps(batch, seed=11, epoch=4, channels="24s"), atol=1e-4)


@pytest.mark.parametrize("output", ["dct", "rgb"])
def test_what_is_sent_does_not_change_an_enlarged_picture(output: str) -> None:
    """Where blocks are enlarged nothing is left out, so "auto" equals "all" but for the region."""
    runs = [
        next(
            iter(
                DCTLoader(pairs(6), batch_size=6, output=output, transform=T.RandomResizedCrop(128, scale=(0.2, 0.6)), transfer=t)
            )
        )[0]
        for t in ("auto", "all")
    ]
    assert torch.allclose(*runs, atol=2e-3)


def test_pruning_first_warns_once_unless_the_grid_is_kept() -> None:
    with pytest.warns(UserWarning, match="another one") as caught:
        list(DCTLoader(pairs(4), 2, transform=T.RandomResizedCrop(128), transfer="24s"))
    assert len(caught) == 1
    picture_size = T.CenterCrop((SIZE[1], SIZE[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DCTLoader([(jpeg(0, subsampling=0), 0)], transform=picture_size, transfer="24s"))


def test_dtype_and_memory_format_are_as_asked() -> None:
    x, _ = next(iter(DCTLoader(pairs(4), 4, transform=crop(), dtype=torch.bfloat16, memory_format=torch.channels_last)))
    assert x.dtype == torch.bfloat16 and x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("targets", "want"),
    [
        ([3, 1], torch.tensor([3, 1])),
        ([0.5, 2.0], torch.tensor([0.5, 2.0])),
        ([1, 0.5], torch.tensor([1.0, 0.5])),
        ([(1, 2), (3, 4)], [torch.tensor([1, 3]), torch.tensor([2, 4])]),
    ],
)
def test_targets_are_collated_as_torch_does(targets: list[Any], want: Any) -> None:
    data = [(jpeg(i), target) for i, target in enumerate(targets)]
    _, got = next(iter(DCTLoader(data, 2, transform=crop())))
    torch.testing.assert_close(got, want)


def test_targets_of_several_parts_go_to_the_device() -> None:
    targets = collated_targets([{"box": (1, 2.5), "name": "a"}, {"box": (3, 4.5), "name": "b"}])
    there = moved(targets, torch.device("meta"))
    assert [part.device.type for part in there["box"]] == ["meta", "meta"] and there["name"] == ["a", "b"]
    assert [part.dtype for part in there["box"]] == [part.dtype for part in targets["box"]]
    assert len(list(tensors(there))) == 2


def test_target_transform_is_applied() -> None:
    _, got = next(iter(DCTLoader(pairs(3), 3, transform=crop(), target_transform=lambda t: 10 * t)))
    assert got.tolist() == [0, 10, 20]


def test_mixup_yields_soft_targets() -> None:
    steps = T.Compose([T.CenterCrop(32), T.Normalize("imagenet"), T.MixUp(num_classes=3)])
    x, soft = next(iter(DCTLoader(pairs(6), 6, transform=steps)))
    assert soft.shape == (6, 3) and torch.allclose(soft.sum(1), torch.ones(6)) and x.shape == (6, 24, 4, 4)


def test_stats_say_where_the_time_went() -> None:
    loader = DCTLoader(pairs(12), 4, transform=crop())
    list(loader)
    stats = loader.stats()
    assert stats["samples"] == 12 and stats["batches"] == 3
    assert stats["bytes_read"] == pytest.approx(sum(len(data) for data, _ in pairs(12)) / 12)
    assert stats["bytes_sent"] > 0 and all(stats[name] > 0 for name in ("reading", "planning", "decoding", "packing", "device"))
    assert stats["copying"] == 0  # on the CPU nothing is


def test_a_live_view_shows_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    loader = DCTLoader(pairs(6), 2, transform=crop())
    with loader.live():
        list(loader)
    shown = capsys.readouterr().err
    assert "6 samples" in shown and "decoding" in shown and "waiting for data" in shown


# --------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("output", ["dct", "rgb"])
def test_batches_are_the_same_to_the_bit_for_any_number_of_workers(output: str) -> None:
    steps = T.Compose(
        [T.RandomResizedCrop(48), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.Normalize("imagenet")]
    )
    options: dict[str, Any] = {"shuffle": True, "transform": steps, "output": output, "fields": ("index",)}
    runs = [list(DCTLoader(pairs(11), 4, num_workers=n, prefetch_factor=p, **options)) for n, p in ((0, None), (1, 1), (16, 5))]
    for other in runs[1:]:
        assert all(torch.equal(a, b) for x, y in zip(runs[0], other, strict=True) for a, b in zip(x, y, strict=True))


def test_iterations_are_epochs_one_after_the_other() -> None:
    loader = DCTLoader(pairs(9), 4, shuffle=True, transform=crop(), fields=("index",))
    orders = [torch.cat([b[2] for b in loader]).tolist() for _ in range(3)]
    assert len({tuple(o) for o in orders}) == 3 and all(sorted(o) == list(range(9)) for o in orders)
    loader.set_epoch(1)
    assert torch.cat([b[2] for b in loader]).tolist() == orders[1]


def test_a_state_after_break_goes_on_where_the_loop_stopped() -> None:
    whole = [x for x, _ in DCTLoader(pairs(10), 2, shuffle=True, transform=crop())]
    loader = DCTLoader(pairs(10), 2, shuffle=True, transform=crop())
    for count, _ in enumerate(loader):
        if count == 1:
            break
    gc.collect()
    fresh = DCTLoader(pairs(10), 2, shuffle=True, transform=crop())
    fresh.load_state_dict(loader.state_dict())
    fresh.set_epoch(0)  # the usual loop calls it; it is the state's own epoch
    rest = [x for x, _ in fresh]
    assert len(rest) == 3 and all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


@pytest.mark.parametrize("exhausted", [True, False])
def test_a_state_after_the_last_batch_is_the_next_epoch(exhausted: bool) -> None:
    loader = DCTLoader(pairs(4), 2, shuffle=True, transform=crop(), fields=("index",))
    iterator = iter(loader)
    for _ in range(2 + exhausted):
        next(iterator, None)
    fresh = DCTLoader(pairs(4), 2, shuffle=True, transform=crop(), fields=("index",))
    fresh.load_state_dict(loader.state_dict())
    assert [b[2].tolist() for b in fresh] == [b[2].tolist() for b in loader]


def test_a_state_behind_its_epoch_is_empty_where_that_epoch_is_asked_for() -> None:
    loader = DCTLoader(pairs(4), 2, shuffle=True, transform=crop(), fields=("index",))
    iterator = iter(loader)
    state = [loader.state_dict() for _ in range(2) if next(iterator)][-1]
    assert (state["epoch"], state["position"]) == (0, 4)
    fresh = DCTLoader(pairs(4), 2, shuffle=True, transform=crop(), fields=("index",))
    fresh.load_state_dict(state)
    fresh.set_epoch(0)  # as a loop does that counts from the state's epoch
    assert list(fresh) == []
    fresh.set_epoch(1)
    assert [b[2].tolist() for b in fresh] == [b[2].tolist() for b in loader]


def test_an_epoch_begins_with_its_first_batch() -> None:
    loader = DCTLoader(pairs(9), 2, shuffle=True, transform=crop(), fields=("index",))
    want = [b[2].tolist() for b in loader]
    other = DCTLoader(pairs(9), 2, shuffle=True, transform=crop(), fields=("index",))
    iter(other)
    before = alive()
    assert len(iter(other)) == 5 and alive() == before
    assert [b[2].tolist() for b in other] == want
    other.load_state_dict({**other.state_dict(), "epoch": 0, "position": 4})
    assert len(iter(other)) == 3
    assert [b[2].tolist() for b in other] == want[2:]


def test_an_epoch_that_was_broken_off_is_given_up_by_set_epoch() -> None:
    loader = DCTLoader(pairs(6), 2, transform=crop())
    next(iter(loader))
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (0, 2)
    loader.set_epoch(1)
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (1, 0)


def test_the_batch_sampler_says_which_samples_come() -> None:
    loader = DCTLoader(pairs(7), 3, shuffle=True, transform=crop(), fields=("index",))
    loader.batch_sampler.sampler.set_epoch(5)
    said = list(loader.batch_sampler)
    assert len(loader.batch_sampler) == 3 and [b[2].tolist() for b in loader] == said
    loader.set_epoch(5)
    assert list(loader.batch_sampler) == said


def test_samplers_of_torch_are_honoured() -> None:
    from torch.utils.data import BatchSampler, DistributedSampler, SequentialSampler

    data = pairs(10)
    one = DCTLoader(data, 3, sampler=[7, 7, 2, 0], transform=crop(), fields=("index",))
    assert [b[2].tolist() for b in one] == [[7, 7, 2], [0]]
    two = DCTLoader(data, batch_sampler=BatchSampler(SequentialSampler(data), 4, True), transform=crop(), fields=("index",))
    assert [b[2].tolist() for b in two] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    sampler: Any = DistributedSampler(data, num_replicas=2, rank=1, seed=5)
    three = DCTLoader(data, 5, sampler=sampler, transform=crop(), fields=("index",))
    three.set_epoch(3)
    got = torch.cat([b[2] for b in three]).tolist()
    sampler.set_epoch(3)
    assert got == list(sampler)


RANK_CODE = """
import sys, torch, torch.distributed as dist
rank, world, port, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
from dctload import DCTLoader, transforms as T
loader = DCTLoader(root, batch_size=2, shuffle=True, transform=T.CenterCrop(32), fields=("index",), num_workers=1)
seen = [b[2].tolist() for b in loader]
every = [None] * world
dist.all_gather_object(every, seen)
if rank == 0:
    print(every)
dist.destroy_process_group()
"""


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_of_torch_distributed_share_an_epoch(tmp_path: Path, world: int) -> None:
    root = folder(tmp_path, 13)
    with __import__("socket").socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RANK_CODE, str(r), str(world), port, str(root)], stdout=subprocess.PIPE, text=True
        )
        for r in range(world)
    ]
    outs = [p.communicate(timeout=120)[0] for p in started]
    assert all(p.returncode == 0 for p in started)
    every = eval(outs[0])
    assert len({len(batches) for batches in every}) == 1
    seen = [i for batches in every for batch in batches for i in batch]
    assert set(seen) == set(range(13)) and len(seen) - 13 < world


# ----------------------------------------------------------------------------------------------------------- bad files


def mixed() -> list[tuple[bytes, int]]:
    """Good files with a cut one, junk, a PNG, a CMYK file and an absent one among them."""
    png = io.BytesIO()
    picture(3).save(png, "PNG")
    return [(jpeg(0), 0), (jpeg(1)[:-300], 1), (b"junk" * 40, 2), (png.getvalue(), 3), (jpeg(4, "CMYK"), 4), (jpeg(5), 5)]


def test_skip_leaves_out_and_reports() -> None:
    loader = DCTLoader(mixed(), 3, transform=T.CenterCrop(32), on_error="skip")
    assert [t.tolist() for _, t in loader] == [[0], [5]]
    assert [(e.index, e.code) for e in loader.report()] == [
        (1, "data_truncated"),
        (2, "not_jpeg"),
        (3, "not_jpeg"),
        (4, "color_space"),
    ]
    assert all(str(e).startswith(f"sample {e.index}: ") and e.source == f"sample {e.index}" for e in loader.report())
    list(loader)
    assert len(loader.report()) == 4


def test_an_empty_batch_keeps_its_shape() -> None:
    loader = DCTLoader([(b"junk", 0), (b"junk", 0), (jpeg(1), 1)], 2, transform=crop(), on_error="skip")
    shapes = [(tuple(x.shape), tuple(t.shape)) for x, t in loader]
    assert shapes == [((0, 24, 4, 4), (0,)), ((1, 24, 4, 4), (1,))]


def test_replace_keeps_the_size_and_takes_the_replacements_target() -> None:
    loader = DCTLoader(mixed(), 6, transform=T.CenterCrop(32), on_error="replace", fields=("index",))
    x, targets, index = next(iter(loader))
    assert len(x) == 6 and set(targets.tolist()) == {0, 5} and targets.tolist() == index.tolist()
    assert index[0] == 0 and index[5] == 5
    again = next(iter(DCTLoader(mixed(), 6, transform=T.CenterCrop(32), on_error="replace", fields=("index",), num_workers=0)))
    assert torch.equal(again[2], index) and torch.equal(again[0], x)


def test_transcode_takes_what_is_no_huffman_jpeg() -> None:
    steps = T.Compose([T.Resize((64, 64))])
    loader = DCTLoader(mixed(), 6, transform=steps, output="rgb", fallback="transcode", on_error="skip")
    x, targets = next(iter(loader))
    assert targets.tolist() == [0, 3, 4, 5] and {e.code for e in loader.report()} == {"data_truncated", "not_jpeg"}
    want = np.asarray(picture(3).resize((64, 64), Image.BILINEAR), np.float32).transpose(2, 0, 1) / 255
    assert np.abs(x[1].numpy() - want).mean() < 1.0 / 255


def test_raise_names_the_file(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "a" / "cut.jpg").write_bytes(jpeg(1)[:-300])
    with pytest.raises(dctload.JPEGError, match=r"cut\.jpg") as caught:
        list(DCTLoader(root, 8, transform=T.CenterCrop(32)))
    assert caught.value.code == "data_truncated" and str(caught.value.source).endswith("cut.jpg")


def test_an_absent_file_is_like_a_bad_one(tmp_path: Path) -> None:
    data = [(str(tmp_path / "gone.jpg"), 0), (jpeg(1), 1)]
    loader = DCTLoader(data, 2, transform=T.CenterCrop(32), on_error="skip")
    assert [t.tolist() for _, t in loader] == [[1]]
    assert [(e.code, Path(str(e.source)).name) for e in loader.report()] == [("io_error", "gone.jpg")]
    with pytest.raises(dctload.JPEGError, match=r"gone\.jpg"):
        list(DCTLoader(data, 2, transform=T.CenterCrop(32)))


def test_a_source_without_a_good_file_ends() -> None:
    with pytest.raises(dctload.JPEGError):
        list(DCTLoader([(b"junk", 0)] * 5, 2, transform=T.CenterCrop(32), on_error="replace"))


@needs_real_files
def test_rgb_coded_files_need_no_fallback() -> None:
    names = sorted((DATA / "jpeg-corpus").glob("*rgb*"))
    good = [n for n in names if _color(n) == "rgb"][:4]
    assert good
    for name in good:
        x, _ = next(iter(DCTLoader([(name, 0)], transform=T.Resize((32, 32)), output="rgb")))
        want = np.asarray(Image.open(name).convert("RGB").resize((32, 32), Image.BILINEAR), np.float32).transpose(2, 0, 1) / 255
        assert np.abs(x[0].numpy() - want).mean() < 1.5 / 255, name.name


def _color(name: Path) -> str:
    try:
        return dctload.read_header(name).color_space
    except dctload.JPEGError:
        return ""


# ----------------------------------------------------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"collate_fn": list}, TypeError, "transform="),
        ({"timeout": 5}, TypeError, "threads"),
        ({"on_error": "ignore"}, ValueError, "'skip'"),
        ({"output": "yuv"}, ValueError, "rgb"),
        ({"fields": ("size",)}, ValueError, "'path'"),
        ({"num_workers": -1}, ValueError, "num_workers"),
        ({"rank": 1}, ValueError, "world_size"),
        ({"transform": T.CenterCrop(30)}, ValueError, "multiples of 8"),
        ({"transform": [T.Resize(40), T.RandomResizedCrop(32)]}, ValueError, "second resize"),
        ({"transform": [T.Normalize("imagenet")], "data": [(jpeg(0), 0), (Path("small.jpg"), 0)]}, ValueError, "one batch"),
        ({"transform": lambda x: x}, TypeError, "transform"),
        ({"backend": "other"}, ValueError, "native"),
        ({"dtype": torch.int8}, ValueError, "floating"),
        ({"device": "meta"}, ValueError, "device is one of 'cpu', 'cuda', not 'meta'"),
        ({"prefetch_factor": 0}, ValueError, "prefetch_factor is 1 or more"),
    ],
)
def test_wrong_use_says_what_to_do(options: dict[str, Any], error: type[Exception], words: str, tmp_path: Path) -> None:
    data = options.pop("data", pairs(2))
    small = tmp_path / "small.jpg"
    picture(1, size=(40, 24)).save(small)
    data = [(small if isinstance(d, Path) else d, t) for d, t in data]
    with pytest.raises(error, match=words):
        next(iter(DCTLoader(data, 2, **options)))


# ------------------------------------------------------------------------------------------------------ ends and memory


def alive() -> int:
    return sum(t.name.startswith("dctload-") for t in threading.enumerate())


@pytest.mark.parametrize(("workers", "threads"), [(1, 3), (4, 4)])
def test_dropping_an_iterator_ends_its_threads(workers: int, threads: int) -> None:
    """One reads, one or two decode, one works for the device; of so many batches none of them has come to the end."""
    before = alive()
    loader = DCTLoader(pairs(60), 2, transform=crop(), num_workers=workers)
    iterator = iter(loader)
    next(iterator)
    assert alive() == before + threads
    del iterator
    gc.collect()
    assert alive() == before


def test_an_error_of_the_consumer_and_close_end_them_too() -> None:
    before = alive()
    loader = DCTLoader(pairs(12), 2, transform=crop())
    with pytest.raises(KeyboardInterrupt):
        for _ in loader:
            raise KeyboardInterrupt
    gc.collect()
    first, second = iter(loader), iter(loader)
    assert len(next(first)[1]) == len(next(second)[1]) == 2
    with loader:
        pass
    assert alive() == before
    assert list(first) == []
    with pytest.raises(RuntimeError, match="closed"):
        iter(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_iterator_that_was_closed_or_failed_gives_nothing_more(workers: int) -> None:
    loader = DCTLoader([*pairs(2), (b"junk", 0), *pairs(3)], 2, transform=crop(), num_workers=workers)
    failed = iter(loader)
    next(failed)
    with pytest.raises(dctload.JPEGError):
        next(failed)
    assert list(failed) == []
    closed, unused = iter(loader), iter(loader)
    next(closed)
    loader.close()
    assert list(closed) == list(unused) == []


class _Collecting(T.Transform):
    """Collects garbage while the device's thread is at work, once `now` is set."""

    def __init__(self) -> None:
        self.now, self.begun, self.calls = threading.Event(), threading.Event(), 0

    def apply(self, picture: Any, draws: Any) -> None:
        self.calls += 1
        if self.calls == 1:
            self.begun.set()
            self.now.wait(60)
            gc.collect()


def test_garbage_collected_in_a_thread_of_the_loader_does_not_hang() -> None:
    """A forgotten iteration is ended by a thread that holds what the forgotten one's threads wait for."""
    step = _Collecting()
    loader = DCTLoader(pairs(8), 2, transform=[T.CenterCrop(32), step], num_workers=2)
    seen: list[int] = []
    consumer = threading.Thread(target=lambda: seen.extend(len(t) for _, t in loader), daemon=True)
    gc.disable()
    try:
        consumer.start()
        assert step.begun.wait(60)
        forgotten: list[Any] = [iter(loader)]
        forgotten.append(forgotten)
        forgotten[0]._begin()
        time.sleep(0.5)  # until its device thread waits for the other's
        del forgotten
        step.now.set()
        consumer.join(60)
        assert not consumer.is_alive() and seen == [2, 2, 2, 2]
    finally:
        gc.enable()


# A shell starts jobs in the background with Ctrl-C ignored, which children inherit: here it is as in a terminal.
CTRL_C = "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)"


@pytest.mark.no_sanitizer
@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("raise SystemExit(3)", 3), (CTRL_C, -2)])
def test_a_process_ends_at_once_in_mid_epoch(tmp_path: Path, ending: str, status: int) -> None:
    code = (
        "from dctload import DCTLoader, transforms as T\n"
        f"loader = DCTLoader({str(folder(tmp_path, 40))!r}, 2, transform=T.RandomResizedCrop(64))\n"
        f"iterator = iter(loader); next(iterator)\n{ending}\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status and "FATAL" not in done.stderr and "terminate" not in done.stderr, done.stderr
    assert time.monotonic() - start < 50


@needs_real_files
@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_memory_is_steady_over_many_epochs() -> None:
    code = """
import resource, sys
from dctload import DCTLoader, transforms as T
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
steps = T.Compose([T.RandomResizedCrop(64), T.RandomHorizontalFlip(), T.ColorJitter(.4, .4, .4), T.Normalize("imagenet")])
loader = DCTLoader(sys.argv[1], batch_size=64, shuffle=True, transform=steps)
for epoch in range(200):
    for x, target in loader:
        pass
    if epoch == 4:
        first = rss()
print(first, rss())
"""
    source = str(DATA / "cats-dogs" / "train")
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, timeout=900, check=True)
    first, last = map(int, done.stdout.split())
    assert last - first < 24 << 20, f"{first / 2**20:.0f} MiB after five epochs, {last / 2**20:.0f} after 200"
