"""The same set from a Ray cluster of several node processes, one of which is lost in the middle."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is an extra, tested where it is installed")
pytest.importorskip("pyarrow")
cluster_utils = pytest.importorskip("ray.cluster_utils")

import dctload
import support
from dctload.shards.extraction import extract
from support.shard_sets import SlowSource, files_of, image_folder, images_of, picture

pytestmark = [pytest.mark.slow, pytest.mark.no_sanitizer]
SMALL = "8KiB"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and two more nodes, a core each, connected to."""
    # Workers import dctload and the tests' makers as this process does, from wherever they lie.
    places = [str(Path(module.__file__).parents[1]) for module in (dctload, support)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, os.environ.get("PYTHONPATH", "")])
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_cluster_makes_the_same_bytes(tmp_path: Path, cluster: Any) -> None:
    root = image_folder(tmp_path / "src", 30)
    calls: list[tuple[int, ...]] = []
    summary = extract(root, tmp_path / "a.dct", shard_size=SMALL, engine="ray", progress=lambda *numbers: calls.append(numbers))
    local = extract(root, tmp_path / "b.dct", shard_size=SMALL)
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")
    assert (summary.images, summary.nbytes, summary.shards) == (local.images, local.nbytes, local.shards)
    assert len(calls) == summary.shards and calls[-1] == (30, 30, summary.source_bytes, summary.nbytes)


@pytest.mark.parametrize("workers", [0, 2])
def test_other_sources_and_relative_paths_reach_the_workers(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = images_of(image_folder(Path("src")))
    source = [(str(path), k) for k, path in enumerate(paths)] + [(picture(77), 0)]
    extract(source, "a.dct", workers=workers, shard_size=SMALL, engine="ray")
    extract(source, "b.dct", shard_size=SMALL)
    assert files_of(Path("a.dct")) == files_of(Path("b.dct"))


def test_a_bad_file_raises_as_it_does_here(tmp_path: Path, cluster: Any) -> None:
    root = image_folder(tmp_path / "src")
    (root / "a" / "bad.jpg").write_bytes(b"junk")
    with pytest.raises(dctload.UnsupportedJPEG, match=r"a/bad\.jpg") as caught:
        extract(root, tmp_path / "a.dct", shard_size=SMALL, engine="ray")
    assert caught.value.code == "not_jpeg" and caught.value.index == 6
    summary = extract(root, tmp_path / "a.dct", shard_size=SMALL, engine="ray", on_error="skip", resume=True)
    assert [key for key, _, _ in summary.failed] == ["a/bad.jpg"]
    extract(root, tmp_path / "b.dct", shard_size=SMALL, on_error="skip")
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")


def test_a_node_that_is_lost_in_the_middle_changes_nothing(tmp_path: Path, cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    seen = tmp_path / "seen"
    source = SlowSource(60, seen)
    extract(source, tmp_path / "b.dct", shard_size=SMALL)
    seen.mkdir()
    lost: list[str] = []

    def kill() -> None:
        while not lost:
            lost.extend(path.name for path in seen.iterdir() if path.name.split("-")[1] == node.node_id)
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    extract(source, tmp_path / "a.dct", shard_size=SMALL, engine="ray")
    killer.join()
    first = lost[0].split("-")[0]
    assert len([path for path in seen.iterdir() if path.name.split("-")[0] == first]) > 1, "the shard was never made again"
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")
