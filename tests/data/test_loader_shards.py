"""DCTLoader on shards: the batches that the files give, with the same rules for order, ranks, resuming and bad images."""

from __future__ import annotations

import os
import shutil
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pyarrow")

from dctload import DCTLoader, JPEGError, ops, shards
from dctload import transforms as T
from dctload.data.order import EpochOrder, permutation_in_windows
from support.shard_sets import set_fixtures

COUNT = 22


source, whole = set_fixtures(COUNT, least=2, name="whole", channels="all", shard_size="12KiB")


@pytest.fixture(scope="module")
def pruned(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pruned") / "24s.dct"
    shards.extract(source, out, channels="24s", shard_size="12KiB")
    return out


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """Two images' records have a flipped bit: numbers 4 and 15."""
    out = Path(shutil.copytree(whole, tmp_path / "damaged.dct"))
    s = shards.open(out)
    for image in (4, 15):
        path = out / f"shard-{s.shards[image]:05d}.arrow"
        data = bytearray(path.read_bytes())
        data[s.column("offset")[image].as_py() + s.column("nbytes")[image].as_py() - 2] ^= 8
        path.write_bytes(data)
    return out


def crop(size: int = 32) -> T.Compose:
    return T.Compose([T.RandomResizedCrop(size), T.RandomHorizontalFlip(), T.Normalize("imagenet")])


def same(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) and torch.equal(t, u) for (x, t, *_), (y, u, *_) in zip(a, b, strict=True))


# --------------------------------------------------------------------------------------------- the same as from the files


@pytest.mark.parametrize(
    "options", [{}, {"num_workers": 0}, {"output": "rgb"}, {"channels": "all"}, {"transfer": "all"}, {"drop_last": True}]
)
def test_shards_of_all_frequencies_give_what_the_files_give(source: Path, whole: Path, options: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"batch_size": 5, "shuffle": True, "seed": 3, "transform": crop(), "fields": ("index",), **options}
    loaders = [DCTLoader(given, **facts) for given in (source, whole)]
    for _ in range(2):  # epochs; in the second one no checksum is computed again
        a, b = (list(loader) for loader in loaders)
        assert same(a, b) and all(torch.equal(x[2], y[2]) for x, y in zip(a, b, strict=True))
    assert loaders[0].classes == loaders[1].classes == ["a", "b"]


def test_pruned_shards_give_what_pruned_files_give(source: Path, pruned: Path) -> None:
    facts: dict[str, Any] = {"batch_size": 8, "transfer": "24s", "transform": T.Compose([T.Resize(40), T.CenterCrop(32)])}
    with pytest.warns(UserWarning, match="native frequencies"):
        a, b = (list(DCTLoader(given, **facts)) for given in (source, pruned))
    assert same(a, b)


def test_without_a_transform_whole_records_are_handed_on(source: Path, whole: Path) -> None:
    (a, _), (b, _) = (next(iter(DCTLoader(given, batch_size=6, channels="24s"))) for given in (source, whole))
    assert isinstance(b, ops.DCTBatch) and a.packed.numpy().tobytes() == b.packed.numpy().tobytes()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_records_as_they_are_come_in_order_whoever_copies_them(source: Path, whole: Path, workers: int) -> None:
    facts: dict[str, Any] = {"batch_size": 5, "channels": "64s", "shuffle": True, "seed": 2, "num_workers": workers}
    files, stored = (DCTLoader(given, **facts) for given in (source, whole))
    for _ in range(2):
        got = list(stored)
        for (a, t), (b, u) in zip(files, got, strict=True):
            assert a.packed.numpy().tobytes() == b.packed.numpy().tobytes() and torch.equal(t, u)
        assert len({b.packed.data_ptr() for b, _ in got}) == len(got)  # none is overwritten while it is held


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_without_a_transform_is_as_with_one(damaged: Path, workers: int) -> None:
    facts: dict[str, Any] = {"batch_size": 4, "num_workers": workers, "fields": ("index",)}
    with pytest.raises(JPEGError, match=r"a/008\.jpg"):
        list(DCTLoader(damaged, **facts))
    loader = DCTLoader(damaged, on_error="skip", **facts)
    assert [len(x) for x, *_ in loader] == [4, 3, 4, 3, 4, 2] and len(loader.report()) == 2


@pytest.mark.parametrize(("workers", "names"), [(0, []), (1, ["batches-0"]), (3, ["batches-0", "batches-1"])])
def test_batches_that_are_only_copied_are_made_by_one_thread_each(whole: Path, workers: int, names: list[str]) -> None:
    before = set(threading.enumerate())
    iterator = iter(DCTLoader(whole, batch_size=1, num_workers=workers))
    next(iterator)
    assert sorted(thread.name for thread in set(threading.enumerate()) - before) == [f"dctload-{name}" for name in names]
    del iterator
    assert not set(threading.enumerate()) - before


def test_as_many_batches_that_are_only_copied_come_ahead_as_are_asked_for(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, opening = [], shards.ShardSet.open
    monkeypatch.setattr(shards.ShardSet, "open", lambda *given: begun.append(1) or opening(*given))
    with DCTLoader(whole, batch_size=1, num_workers=2, prefetch_factor=8) as loader:
        iterator = iter(loader)
        next(iterator)
        limit = time.monotonic() + 10
        while len(begun) < 9 and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(0.05)
        assert 9 <= len(begun) <= 11  # one was taken, and two are in the hands of the threads


@pytest.mark.parametrize("transform", [None, crop()])
def test_a_target_transform_is_never_called_twice_at_a_time(whole: Path, transform: T.Compose | None) -> None:
    busy, overlaps = threading.Lock(), []

    def changed(target: int) -> int:
        if not busy.acquire(blocking=False):
            overlaps.append(target)
            return target
        time.sleep(0.003)
        busy.release()
        return target + 10

    targets = [t for _, t in DCTLoader(whole, batch_size=1, num_workers=2, transform=transform, target_transform=changed)]
    assert not overlaps and torch.cat(targets).tolist() == [t + 10 for t in shards.open(whole).targets]


def test_mixing_and_target_transforms_see_the_same_targets(source: Path, whole: Path) -> None:
    mixing = T.Compose([T.RandomResizedCrop(32), T.MixUp(alpha=0.4, num_classes=2)])
    assert same(*(list(DCTLoader(given, batch_size=4, transform=mixing)) for given in (source, whole)))
    facts: dict[str, Any] = {"batch_size": 4, "transform": crop(), "target_transform": lambda t: t + 10}
    assert same(*(list(DCTLoader(given, **facts)) for given in (source, whole)))


def test_a_set_is_known_by_its_folder_its_name_and_itself(whole: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(whole, tmp_path / "renamed"))
    for given in (whole, str(whole), str(whole) + os.sep, moved, shards.open(whole)):
        loader = DCTLoader(given, batch_size=COUNT, fields=("path",))
        assert next(iter(loader))[2][:2] == ["a/000.jpg", "a/002.jpg"]


def test_targets_that_are_no_numbers_are_collated_as_from_a_list(source: Path, tmp_path: Path) -> None:
    pairs = [(path, {"id": i, "box": [1.0, 2.0]}) for i, path in enumerate(sorted(source.glob("a/*")))]
    shards.extract(pairs, tmp_path / "a.dct", channels="all")
    (_, a), (_, b) = (next(iter(DCTLoader(given, batch_size=3, transform=crop()))) for given in (pairs, tmp_path / "a.dct"))
    assert torch.equal(a["id"], b["id"]) and all(torch.equal(x, y) for x, y in zip(a["box"], b["box"], strict=True))


# ------------------------------------------------------------------------------------------------------- what is not stored


def test_images_without_classes_have_no_targets(source: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, path in enumerate(sorted(source.rglob("*.jpg"))[:3]):
        shutil.copy(path, flat / f"{i}.jpg")
    shards.extract(flat, tmp_path / "flat.dct", "all")
    ((x, targets, names),) = list(DCTLoader(tmp_path / "flat.dct", batch_size=3, transform=crop(), fields=("path",)))
    assert targets == [None] * 3 and names == ["0.jpg", "1.jpg", "2.jpg"]
    assert same(x, next(iter(DCTLoader([(flat / name, 0) for name in names], batch_size=3, transform=crop())))[0])
    assert shards.verify(tmp_path / "flat.dct", against=flat).ok


def test_what_is_not_stored_is_refused_when_the_loader_is_made(pruned: Path) -> None:
    with pytest.raises(ValueError, match="channels 64s are not all in"):
        DCTLoader(pruned, channels="64s")
    for transfer in ("all", "64s"):
        with pytest.raises(ValueError, match=f"transfer {transfer} are not all in"):
            DCTLoader(pruned, channels="24s", transfer=transfer)
    DCTLoader(pruned, output="rgb", channels="64s").close()


def test_a_picture_that_lacks_frequencies_is_told_once(pruned: Path, whole: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(DCTLoader(pruned, batch_size=4, transform=crop()))
    assert [str(w.message).count("native frequencies") for w in caught] == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DCTLoader(whole, batch_size=4, transform=crop()))
        list(DCTLoader(pruned, batch_size=4, sampler=on_the_grid(pruned), transform=T.CenterCrop(32)))


def on_the_grid(folder: Path) -> list[int]:
    """Images that a centre crop of 32 pixels cuts between blocks, and whose chroma is not enlarged."""
    s = shards.open(folder)
    sizes = [s.column(name).to_numpy().astype(int) for name in ("width", "height")]
    found = [i for i, key in enumerate(s.keys) if int(Path(key).stem) % 4 in (1, 2) and all((x[i] - 32) % 16 == 0 for x in sizes)]
    assert len(found) > 1
    return found


def test_a_set_that_was_not_finished_is_told(whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "part"))
    (out / "manifest.json").rename(out / "plan.json")
    with pytest.raises(ValueError, match="was not finished"):
        DCTLoader(out)
    with pytest.raises(FileNotFoundError, match="there is no shard set"):
        DCTLoader(tmp_path / "none.dct")


# ------------------------------------------------------------------------------------------------------------------ damage


def test_a_damaged_record_raises_with_its_key(damaged: Path) -> None:
    with pytest.raises(JPEGError, match=r"a/008\.jpg") as caught:
        list(DCTLoader(damaged, batch_size=4, transform=crop()))
    assert (caught.value.code, caught.value.source, caught.value.index) == ("record_damaged", "a/008.jpg", 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_records_are_skipped_and_reported(damaged: Path, whole: Path, workers: int) -> None:
    facts: dict[str, Any] = {"batch_size": 4, "transform": crop(), "fields": ("index",)}
    loader = DCTLoader(damaged, on_error="skip", num_workers=workers, **facts)
    batches = list(loader)
    assert [len(x) for x, *_ in batches] == [4, 3, 4, 3, 4, 2] and len(loader) == 6
    assert [(error.code, error.source) for error in loader.report()] == [
        ("record_damaged", "a/008.jpg"),
        ("record_damaged", "b/009.jpg"),
    ]
    sound = {int(i): x for xs, _, index in DCTLoader(whole, **facts) for x, i in zip(xs, index, strict=True)}
    assert all(torch.equal(x, sound[int(i)]) for xs, _, index in batches for x, i in zip(xs, index, strict=True))


def test_damaged_records_are_replaced_by_others(damaged: Path) -> None:
    loader = DCTLoader(damaged, batch_size=4, on_error="replace", transform=crop(), fields=("index",))
    indices = torch.cat([index for *_, index in loader]).tolist()
    assert len(indices) == COUNT and not {4, 15} & set(indices) and len(loader.report()) == 2
    loader.set_epoch(0)
    assert torch.cat([index for *_, index in loader]).tolist() == indices


def test_a_shard_that_went_away_is_skipped_like_damage(damaged: Path) -> None:
    s = shards.open(damaged)
    (damaged / f"shard-{s.shards[-1]:05d}.arrow").unlink()
    lost = int((s.shards == s.shards[-1]).sum())
    loader = DCTLoader(damaged, batch_size=4, on_error="skip", transform=crop())
    assert sum(len(x) for x, _ in loader) == COUNT - len({4, 15} | set(range(COUNT - lost, COUNT)))


# ------------------------------------------------------------------------------------------------ order, ranks, resuming


def test_resuming_and_ranks_are_as_for_files(whole: Path) -> None:
    facts: dict[str, Any] = {"shuffle": True, "seed": 5, "transform": crop(), "fields": ("index",)}
    loader = DCTLoader(whole, batch_size=4, **facts)
    batches = iter(loader)
    seen = [i for _ in range(2) for i in next(batches)[2].tolist()]
    state = loader.state_dict()
    rest: list[int] = []
    for rank in range(2):
        resumed = DCTLoader(whole, batch_size=2, rank=rank, world_size=2, **facts)
        resumed.load_state_dict(state)
        rest += [i for *_, index in resumed for i in index.tolist()]
    assert sorted(seen + rest) == list(range(COUNT))


class TestShuffledInWindows:
    SHARDS = np.repeat(np.arange(7, dtype=np.int32), [5, 3, 4, 6, 1, 2, 4])

    @pytest.mark.parametrize("window", [1, 2, 3, 7, 50])
    def test_every_shard_is_read_in_one_stretch(self, window: int) -> None:
        order = permutation_in_windows(self.SHARDS, window, 4, 1)
        assert sorted(order.tolist()) == list(range(len(self.SHARDS)))
        visited = self.SHARDS[order].tolist()
        at_once = [
            {n for n in range(7) if visited.index(n) <= k <= len(visited) - 1 - visited[::-1].index(n)}
            for k in range(len(visited))
        ]
        assert max(map(len, at_once)) <= window

    def test_it_depends_on_seed_and_epoch_alone(self) -> None:
        first = permutation_in_windows(self.SHARDS, 2, 4, 1).tolist()
        assert first == permutation_in_windows(self.SHARDS, 2, 4, 1).tolist()
        others = [permutation_in_windows(self.SHARDS, 2, *facts).tolist() for facts in ((4, 2), (5, 1))]
        assert first not in others and others[0] != others[1]

    def test_samples_of_a_window_are_mixed(self) -> None:
        visited = self.SHARDS[permutation_in_windows(self.SHARDS, 3, 0, 0)].tolist()
        assert sum(a != b for a, b in zip(visited, visited[1:], strict=False)) > 8  # 6 where shard comes after shard

    def test_ranks_share_the_order_and_states_hold_the_window(self, whole: Path) -> None:
        facts: dict[str, Any] = {"batch_size": 3, "shuffle": True, "transform": crop(), "fields": ("index",)}
        s = shards.open(whole, shuffle_window=2)
        loader = DCTLoader(s, **facts)
        next(iter(loader))
        state = loader.state_dict()
        assert state["window"] == 2
        with pytest.raises(ValueError, match="shuffle_window=2"):
            DCTLoader(whole, **facts).load_state_dict(state)
        with pytest.raises(ValueError, match="shuffle_window=0"):
            DCTLoader(s, **facts).load_state_dict(DCTLoader(whole, **facts).state_dict())
        assert "window" not in DCTLoader(whole, **facts).state_dict()
        parts = [DCTLoader(s, rank=rank, world_size=2, **facts) for rank in range(2)]
        steps = [[batch[2].tolist() for batch in part] for part in parts]
        joined = [i for a, b in zip(*steps, strict=True) for pair in zip(a, b, strict=True) for i in pair]
        assert joined == permutation_in_windows(s.shards, 2, 0, 0).tolist()

    def test_without_shuffling_there_is_no_window(self) -> None:
        order = EpochOrder(25, shards=self.SHARDS, window=2)
        assert [batch.tolist() for batch in order.plan(0)] == [[i] for i in range(25)] and "window" not in order.state_dict(0, 0)
