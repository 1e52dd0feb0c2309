"""Lists and other libraries' datasets: encoded bytes are taken out of them, pixels are refused, nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dctload
from dctload.sources import HuggingFaceSource, ItemSource, ListSource, Source, open_source
from support import jpeg_builder as jb

PICTURES = [jb.encode(jb.content(24 + i, 17, "4:2:0", "natural", seed=i)).to_bytes() for i in range(4)]


class Items:
    """A map-style dataset that counts how often each item is asked for."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        self.asked.append(i)
        return self.items[i]


class ImageFolder:
    """What torchvision's has."""

    def __init__(self, paths: list[str]) -> None:
        self.samples = [(path, i % 2) for i, path in enumerate(paths)]
        self.classes = ["a", "b"]
        self.transform: Any = None
        self.target_transform: Any = None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Any:
        raise AssertionError("the loader of pixels was called")


class Subset:
    """What torch's has."""

    def __init__(self, dataset: Any, indices: list[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> Any:
        return self.dataset[self.indices[i]]


class Image:
    """The feature of Hugging Face's name."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Value:
    """A plain column."""


class Table:
    """What a Hugging Face dataset has: columns with features, rows by number or list of numbers."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any], shape: str | None = "torch") -> None:
        self.columns, self.features, self.shape = columns, features, shape

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def with_format(self, shape: str | None) -> Table:
        return Table(self.columns, self.features, shape)

    def cast_column(self, name: str, feature: Any) -> Table:
        return Table(self.columns, {**self.features, name: feature}, self.shape)

    def select_columns(self, names: list[str]) -> Table:
        return Table({n: self.columns[n] for n in names}, {n: self.features[n] for n in names}, self.shape)

    def __getitem__(self, rows: list[int]) -> dict[str, list[Any]]:
        decoding = [n for n, f in self.features.items() if getattr(f, "decode", False)]
        assert not decoding, f"pixels of {decoding} were decoded"
        assert self.shape is None, "a format is in the way"
        return {name: [values[i] for i in rows] for name, values in self.columns.items()}


def table(**columns: Any) -> Table:
    """Columns given as (feature, values)."""
    return Table({n: values for n, (_, values) in columns.items()}, {n: feature for n, (feature, _) in columns.items()})


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    out = [tmp_path / f"{i}.jpg" for i in range(4)]
    for path, data in zip(out, PICTURES, strict=True):
        path.write_bytes(data)
    return [str(path) for path in out]


def test_a_list_of_pairs_is_taken_as_it_is(paths: list[str]) -> None:
    array = np.frombuffer(PICTURES[2], np.uint8)
    source = open_source([(Path(paths[0]), 5), (PICTURES[1], "word"), [array, None], (paths[3].encode(), 1.5)][:3])
    assert isinstance(source, ListSource)
    assert [source.target(i) for i in range(3)] == [5, "word", None]
    assert [source.name(i) for i in range(3)] == [paths[0], "sample 1", "sample 2"]
    fetched = source.fetch([2, 0, 1])
    assert fetched[0] is array
    assert fetched[1:] == [paths[0], PICTURES[1]]
    assert dctload.extract(fetched).status == ("ok",) * 3
    assert source.classes is None


def test_a_changed_list_does_not_change_the_source() -> None:
    pairs = [(PICTURES[0], 0)]
    source = open_source(pairs)
    pairs.clear()
    assert len(source) == 1


@pytest.mark.parametrize(
    "items, error, message",
    [
        ([], ValueError, "the list is empty; expected a folder"),
        (
            ["a.jpg", "b.jpg"],
            TypeError,
            r"item 0 of the list is no \(path or bytes, target\) pair but 'a.jpg'.*for path in paths",
        ),
        ([("a.jpg", 1), ("b.jpg", 1, 2)], TypeError, "item 1 of the list"),
        (("a.jpg", 3), TypeError, "item 0 of the list"),
        ([(None, 1)], TypeError, "the image of item 0 is a path or the bytes of a file, not NoneType"),
        ([(np.zeros((4, 4), np.float32), 1)], TypeError, "the image of item 0 holds items of 4 bytes"),
    ],
)
def test_a_wrong_list_says_which_item(items: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_source(items)


def test_a_torchvision_folder_gives_its_files(paths: list[str]) -> None:
    dataset = ImageFolder(paths)
    dataset.target_transform = lambda target: target + 10
    source = open_source(dataset)
    assert source.fetch([3, 0]) == [paths[3], paths[0]]
    assert [source.target(i) for i in range(4)] == [10, 11, 10, 11]
    assert source.classes == ["a", "b"]


def test_a_transform_of_pixels_is_not_dropped_silently(paths: list[str]) -> None:
    dataset = ImageFolder(paths)
    dataset.transform = lambda pixels: pixels
    with pytest.warns(UserWarning, match="ImageFolder.transform works on pixels"):
        open_source(dataset)


def test_a_subset_gives_its_part_in_its_order(paths: list[str]) -> None:
    source = open_source(Subset(Subset(ImageFolder(paths), [3, 2, 1]), [2, 0]))
    assert len(source) == 2
    assert source.fetch([0, 1]) == [paths[1], paths[3]]
    assert (source.target(1), source.name(1), source.classes) == (1, paths[3], ["a", "b"])
    with pytest.raises(ValueError, match="the subset is empty"):
        open_source(Subset(ImageFolder(paths), []))


def test_a_hugging_face_dataset_gives_encoded_bytes(paths: list[str]) -> None:
    cells = [{"bytes": PICTURES[0], "path": "0.jpg"}, {"bytes": None, "path": paths[1]}, {"bytes": PICTURES[2], "path": None}]
    source = open_source(
        table(
            thumbnail=(Value(), [0, 0, 0]),
            pic=(Image(), cells),
            kind=(ClassLabel(["cat", "dog"]), [1, 0, 1]),
            other=(Value(), ["x", "y", "z"]),
        )
    )
    assert isinstance(source, HuggingFaceSource)
    assert source.fetch([2, 0, 1]) == [PICTURES[2], PICTURES[0], paths[1]]
    assert [source.target(i) for i in range(3)] == [1, 0, 1]
    assert [source.name(i) for i in range(3)] == ["0.jpg", paths[1], "Table[2]"]
    assert source.classes == ["cat", "dog"]


def test_columns_are_found_by_name_where_features_do_not_decide() -> None:
    cells = [{"bytes": PICTURES[0], "path": None}]
    wrong = [{"bytes": b"mask", "path": None}]
    source = open_source(table(mask=(Image(), wrong), image=(Image(), cells), label=(Value(), [7])))
    assert source.fetch([0]) == [PICTURES[0]]
    assert source.target(0) == 7
    assert source.classes is None


def test_a_hugging_face_dataset_without_the_columns_says_what_it_has() -> None:
    with pytest.raises(ValueError, match=r"no columns of the feature ClassLabel .*it has image \(Image\), text \(Value\)"):
        open_source(table(image=(Image(), [{}]), text=(Value(), ["a"])))
    with pytest.raises(ValueError, match="2 columns of the feature Image and none called image"):
        open_source(table(a=(Image(), [{}]), b=(Image(), [{}]), label=(Value(), [1])))


@pytest.mark.parametrize(
    "item", [(PICTURES[0], 3), [PICTURES[0], 3], {"image": PICTURES[0], "label": 3}, {"jpg": {"bytes": PICTURES[0]}, "cls": 3}]
)
def test_a_map_style_dataset_of_encoded_images_is_taken(item: Any) -> None:
    source = open_source(Items([item]))
    assert isinstance(source, ItemSource)
    assert source.fetch([0]) == [PICTURES[0]]
    assert (source.target(0), source.name(0)) == (3, "Items[0]")


def test_an_item_is_read_once_for_image_target_and_name(paths: list[str]) -> None:
    dataset = Items([(path, i) for i, path in enumerate(paths)])
    source = open_source(dataset)
    dataset.asked.clear()
    assert source.fetch([3, 1]) == [paths[3], paths[1]]
    assert [(source.target(i), source.name(i)) for i in (1, 3)] == [(1, paths[1]), (3, paths[3])]
    assert dataset.asked == [3, 1]
    assert source.target(2) == 2
    assert dataset.asked == [3, 1, 2]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dctload.sources.datasets._REMEMBERED", 2)
    dataset = Items([(PICTURES[0], i) for i in range(9)])
    source = ItemSource(dataset)
    for i in range(9):
        source.fetch([i])
    assert len(source._seen) == 2
    assert [source.target(i) for i in range(9)] == list(range(9))
    source.fetch(range(9))
    dataset.asked.clear()
    assert [source.target(i) for i in range(9)] == list(range(9))
    assert dataset.asked == []


class Pixels:
    """A decoded picture, by what Pillow's has."""

    def getpixel(self, place: tuple[int, int]) -> int:
        return 0


@pytest.mark.parametrize(
    "item, message",
    [
        ((Pixels(), 1), "decoded Pixels; dctload needs the file as it is encoded"),
        ((np.zeros((3, 8, 8), np.uint8), 1), r"array \(3, 8, 8\) of uint8: decoded pixels"),
        ((np.zeros(8, np.float32), 1), "of float32: decoded pixels"),
        ((PICTURES[0], 1, 2), r"Items\[0\] is of type tuple; expected a \(path or encoded bytes, target\) pair"),
        (PICTURES[0], r"Items\[0\] is of type bytes"),
        ({"picture": 1, "label": 2}, "has the keys picture, label; expected one of image"),
        ({"image": PICTURES[0], "kind": 2}, "expected one of label"),
    ],
)
def test_items_of_another_kind_are_refused_at_once(item: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        open_source(Items([item]))


def test_a_tensor_of_encoded_bytes_is_taken() -> None:
    class Tensor:
        def numpy(self) -> np.ndarray:
            return np.frombuffer(PICTURES[0], np.uint8)

    data = open_source(Items([(Tensor(), 0)])).fetch([0])
    assert dctload.extract(data).status == ("ok",)


def stream() -> Iterator[tuple[bytes, int]]:
    yield PICTURES[0], 0


@pytest.mark.parametrize(
    "source, error, message",
    [
        (Items([]), ValueError, "the Items is empty"),
        ({"train": 1, "test": 2}, TypeError, "a dict with train, test; pass one of its values"),
        (stream(), TypeError, "generator is not known; it is a stream"),
        (7, TypeError, "a source of type int is not known; expected a folder"),
        (b"bytes", TypeError, "a source of type bytes is not known"),
    ],
)
def test_what_is_no_source_says_what_was_expected(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_source(source)


def test_a_source_is_returned_as_it_is() -> None:
    source = ListSource([(PICTURES[0], 0)])
    assert isinstance(source, Source)
    assert open_source(source) is source


def test_nothing_but_numpy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from dctload.sources import open_source; open_source([('a.jpg', 0)]); "
        "print(sorted({'torch', 'torchvision', 'fsspec', 'datasets', 'PIL', 'webdataset'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"
