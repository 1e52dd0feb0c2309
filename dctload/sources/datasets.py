"""Datasets of other libraries, known by what they have and never imported: torchvision's, Hugging Face's, any map-style one."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload.jpeg import checked_buffer
from dctload.sources.lists import ListSource, fetched
from dctload.sources.protocol import Source

if TYPE_CHECKING:
    from dctload.sources.protocol import Data

# Keys of items that are dicts, and columns of Hugging Face datasets, in the order in which they are tried.
_IMAGE_KEYS = ("image", "img", "jpg", "jpeg", "bytes", "data", "path", "file")
_TARGET_KEYS = ("label", "labels", "target", "targets", "cls", "class", "fine_label")
_REMEMBERED = 1 << 16  # targets and names of samples that were read
_EXPECTED = "a (path or encoded bytes, target) pair, or a dict with keys such as 'image' and 'label'"


def is_folder_dataset(dataset: Any) -> bool:
    """Whether it is like torchvision's `DatasetFolder`: a list of (path, target) in `samples`, names in `classes`."""
    return isinstance(getattr(dataset, "samples", None), (list, tuple)) and hasattr(dataset, "classes")


def is_subset(dataset: Any) -> bool:
    """Whether it is like torch's `Subset`."""
    return hasattr(dataset, "dataset") and hasattr(dataset, "indices")


def is_hugging_face(dataset: Any) -> bool:
    """Whether it is like Hugging Face's `datasets.Dataset`: rows by number, columns with features."""
    return hasattr(dataset, "features") and hasattr(dataset, "cast_column") and hasattr(dataset, "__len__")


def folder_dataset(dataset: Any) -> ListSource:
    """The files of a torchvision `ImageFolder`; its loader is never called, its `target_transform` is applied."""
    if getattr(dataset, "transform", None) is not None:
        warnings.warn(
            f"{type(dataset).__name__}.transform works on pixels and is not used; pass transform= to the loader", stacklevel=4
        )
    change = getattr(dataset, "target_transform", None)
    pairs = [(path, change(target) if change is not None else target) for path, target in dataset.samples]
    return ListSource(pairs, classes=dataset.classes)


class SubsetSource:
    """Some samples of another source, in an order of their own.

    Args:
        source: The whole.
        indices: Samples of it.
    """

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self._source = source
        self._indices = [int(i) for i in indices]
        if not self._indices:
            raise ValueError("the subset is empty")

    @property
    def classes(self) -> list[str] | None:
        """Those of the whole."""
        return self._source.classes

    def __len__(self) -> int:
        return len(self._indices)

    def target(self, i: int) -> Any:
        """The target of sample `i` of the subset."""
        return self._source.target(self._indices[i])

    def name(self, i: int) -> str:
        """The name of sample `i` of the subset."""
        return self._source.name(self._indices[i])

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """As the whole gives them."""
        return self._source.fetch([self._indices[i] for i in indices])

    def __repr__(self) -> str:
        return f"SubsetSource({len(self)} of {self._source!r})"


class ItemSource:
    """A map-style dataset whose items hold an encoded image and a target.

    An item is asked for when it is fetched; its target and name are remembered, so that they cost no second reading. Items
    are asked for by one thread at a time, as datasets in Python expect.

    Args:
        dataset: Has `len()` and `[i]`, which gives `(path or bytes, target)`, or a dict with the two under names such as
            `"image"` and `"label"`. An image may also be a dict with `"bytes"` or `"path"`.

    Attributes:
        classes: The dataset's `classes`, where it has them.

    Raises:
        ValueError: The dataset is empty.
        TypeError: Its first item is none of those above, e.g. decoded pixels.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._seen: dict[int, tuple[Any, str]] = {}
        classes = getattr(dataset, "classes", None)
        self.classes: list[str] | None = list(classes) if classes is not None else None
        self._what = type(dataset).__name__
        if not len(dataset):
            raise ValueError(f"the {self._what} is empty")
        self._read([0])  # a wrong dataset shall be found here, not by a thread in the first epoch

    def __len__(self) -> int:
        return len(self._dataset)

    def target(self, i: int) -> Any:
        """The target of sample `i`; reads the item if it was not fetched lately."""
        return self._facts(i)[0]

    def name(self, i: int) -> str:
        """The path of sample `i` where its item says one, else its number and the dataset's type."""
        return self._facts(i)[1]

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """The images of these items."""
        return fetched(self._read(list(indices)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._what}: {len(self)} items)"

    def _facts(self, i: int) -> tuple[Any, str]:
        while (facts := self._seen.get(i)) is None:
            self._read([i])
        return facts

    def _read(self, indices: list[int]) -> list[Data]:
        with self._lock:
            out = []
            for i, (image, target) in zip(indices, self._items(indices), strict=True):
                data, name = _data_and_name(image, f"{self._what}[{i}]")
                self._seen.pop(i, None)  # to the end of the dict: the oldest goes first
                self._seen[i] = target, name
                out.append(data)
            while len(self._seen) > max(_REMEMBERED, len(indices)):
                del self._seen[next(iter(self._seen))]
        return out

    def _items(self, indices: list[int]) -> list[tuple[Any, Any]]:
        """(image, target) by index."""
        out: list[tuple[Any, Any]] = []
        for i in indices:
            item = self._dataset[i]
            if isinstance(item, Mapping):
                out.append((item[_key(item, _IMAGE_KEYS, self._what)], item[_key(item, _TARGET_KEYS, self._what)]))
            elif isinstance(item, (tuple, list)) and len(item) == 2:
                out.append((item[0], item[1]))
            else:
                raise TypeError(f"{self._what}[{i}] is of type {type(item).__name__}; expected {_EXPECTED}")
        return out


class HuggingFaceSource(ItemSource):
    """A Hugging Face dataset with an image column, read as the encoded bytes that it stores.

    The image column is the one whose feature is `Image`, the target's the one whose feature is `ClassLabel`; where there are
    several, or none, names such as `"image"` and `"label"` decide. Formats and transforms of the dataset are left aside.

    Args:
        dataset: A `datasets.Dataset`: rows by number, not a stream.

    Attributes:
        classes: The label's names, where it has them.

    Raises:
        ValueError: No column for the image or for the target is found, or the dataset is empty.
    """

    def __init__(self, dataset: Any) -> None:
        features = dataset.features
        self._image = _column(features, "Image", _IMAGE_KEYS)
        self._target = _column(features, "ClassLabel", _TARGET_KEYS)
        feature = features[self._image]
        if hasattr(dataset, "with_format"):
            dataset = dataset.with_format(None)
        if type(feature).__name__ == "Image":
            dataset = dataset.cast_column(self._image, type(feature)(decode=False))
        if hasattr(dataset, "select_columns"):
            dataset = dataset.select_columns([self._image, self._target])
        super().__init__(dataset)
        names = getattr(features[self._target], "names", None)
        self.classes = list(names) if names is not None else None

    def _items(self, indices: list[int]) -> list[tuple[Any, Any]]:
        rows = self._dataset[indices]
        return list(zip(rows[self._image], rows[self._target], strict=True))


def _column(features: Mapping[str, Any], kind: str, names: Sequence[str]) -> str:
    fitting = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if len(fitting) == 1:
        return fitting[0]
    for name in names:
        if name in (fitting or features):
            return name
    have = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())
    raise ValueError(
        f"the dataset has {len(fitting) or 'no'} columns of the feature {kind} and none called {', '.join(names[:3])}, ...; "
        f"it has {have}; rename or cast one, or remove those that are not meant"
    )


def _key(item: Mapping[Any, Any], names: Sequence[str], what: str) -> str:
    for name in names:
        if name in item:
            return name
    raise TypeError(f"an item of {what} has the keys {', '.join(map(str, item))}; expected one of {', '.join(names)}")


def _data_and_name(image: Any, where: str) -> tuple[Data, str]:
    """What `extract` takes, and the sample's name."""
    if isinstance(image, Mapping):
        data, path = image.get("bytes"), image.get("path")
        if data is not None:
            return checked_buffer(data, f"the image of {where}"), str(path) if path else where
        image = path if path is not None else where
    if isinstance(image, (str, os.PathLike)):
        path = os.fspath(image)
        return (path, path) if isinstance(path, str) else (os.fsdecode(path), os.fsdecode(path))
    if hasattr(image, "numpy"):  # a tensor of encoded bytes, as torchvision.io.read_file gives it
        image = image.numpy()
    if isinstance(image, np.ndarray) and (image.ndim != 1 or image.dtype != np.uint8):
        raise TypeError(f"the image of {where} is an array {image.shape} of {image.dtype}: decoded pixels; {_remedy()}")
    if hasattr(image, "getpixel"):
        raise TypeError(f"the image of {where} is a decoded {type(image).__name__}; {_remedy()}")
    return checked_buffer(image, f"the image of {where}"), where


def _remedy() -> str:
    return "dctload needs the file as it is encoded: let the dataset return its path or its bytes"
