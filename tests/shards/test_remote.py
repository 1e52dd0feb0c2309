"""Sets behind URLs: by ranges, and through a cache with a size limit; fsspec's memory, an HTTP server with ranges, and S3."""

from __future__ import annotations

import errno
import http.server
import logging
import multiprocessing
import os
import pickle
import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")

from dctload import JPEGError, shards
from dctload.shards.prefetching import Prefetcher
from dctload.sources import open_source
from dctload.sources.urls import storage_error
from support.shard_sets import set_fixtures

COUNT = 30

source, stored = set_fixtures(COUNT, least=6, channels="all", shard_size="16KiB")


@pytest.fixture
def memory(stored: Path) -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    for path in stored.iterdir():
        system.pipe(f"/sets/a.dct/{path.name}", path.read_bytes())
    yield system
    system.rm("/sets", recursive=True)


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder with ranges, and keeps count of the files that were asked for and of the bytes that were sent of each."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.asked, self.sent, self.broken = root, Counter[str](), Counter[str](), ""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def whole(self) -> list[int]:
        """How often each shard was asked for."""
        return [self.asked[path.name] for path in sorted(self.root.glob("*.dct/shard-*"))]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, with_body: bool) -> None:
        path = self.server.root / self.path.lstrip("/")
        if path.name == self.server.broken:
            self.send_error(500)
            return
        if not path.is_file():
            self.send_error(404)
            return
        data, asked = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if with_body:
            self.server.asked[path.name] += 1
        part = data[int(asked[1]) : int(asked[2]) + 1] if asked else data
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{len(data)}")
        self.end_headers()
        if with_body:
            self.server.sent[path.name] += len(part)
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(stored: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    running = Server(stored.parent)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def cached(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


# ------------------------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("with_cache", [False, True])
def test_memory_gives_what_the_folder_gives(memory: Any, stored: Path, tmp_path: Path, with_cache: bool) -> None:
    s, local = shards.open("memory://sets/a.dct", cache_dir=tmp_path if with_cache else None), shards.open(stored)
    indices = [29, 0, 0, 17, 5]
    assert bytes(s.read(indices).buffer) == bytes(local.read(indices).buffer)
    boxes = [(8, 8, 16, 16)] * 5
    assert bytes(s.read(indices, "24s", boxes).buffer) == bytes(local.read(indices, "24s", boxes).buffer)
    assert list(s.keys) == list(local.keys) and s.targets.tolist() == local.targets.tolist() and s.shuffle_window == 16
    assert len(pickle.loads(pickle.dumps(s)).read([3])) == 1 and len(s.read([])) == 0


def test_ranges_fetch_no_more_than_the_records(server: Server, stored: Path) -> None:
    s = shards.open(f"{server.url}/a.dct/")
    assert bytes(s.read([4, 20]).buffer) == bytes(shards.open(stored).read([4, 20]).buffer)
    assert sum(server.whole()) == 2
    nbytes = sum(s.column("nbytes")[i].as_py() for i in (4, 20))
    assert sum(sent for name, sent in server.sent.items() if name.startswith("shard-")) == nbytes


def test_s3_gives_what_the_folder_gives(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto_server, s3fs = pytest.importorskip("moto.server"), pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    try:
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        s3fs.S3FileSystem.clear_instance_cache()
        system = fsspec.filesystem("s3")
        system.mkdir("sets")
        system.put(str(stored), "sets/a.dct", recursive=True)
        local = bytes(shards.open(stored).read([1, 29, 11]).buffer)
        assert bytes(shards.open("s3://sets/a.dct").read([1, 29, 11]).buffer) == local
        assert bytes(shards.open("s3://sets/a.dct", cache_dir=tmp_path).read([1, 29, 11]).buffer) == local
        with pytest.raises(FileNotFoundError, match=r"there is no shard set at s3://sets/b\.dct"):
            shards.open("s3://sets/b.dct")
        assert shards.verify("s3://sets/a.dct").ok
    finally:
        running.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def test_verify_takes_a_url(memory: Any, source: Path) -> None:
    assert shards.verify("memory://sets/a.dct", against=source).ok
    data = bytearray(memory.cat_file("/sets/a.dct/shard-00001.arrow"))
    data[len(data) // 2] ^= 1
    memory.pipe("/sets/a.dct/shard-00001.arrow", bytes(data))
    assert not shards.verify("memory://sets/a.dct").ok


def test_what_is_no_set_is_told_apart(memory: Any) -> None:
    with pytest.raises(FileNotFoundError, match="there is no shard set at memory://sets/none"):
        shards.open("memory://sets/none")
    memory.mv("/sets/a.dct/manifest.json", "/sets/a.dct/plan.json")
    with pytest.raises(ValueError, match="was not finished"):
        shards.open("memory://sets/a.dct")


# -------------------------------------------------------------------------------------------------------------------- damage


def test_a_shard_that_cannot_be_had_is_an_error_or_a_bad_image(memory: Any, caplog: pytest.LogCaptureFixture) -> None:
    torch_data = pytest.importorskip("torch") and pytest.importorskip("dctload.data")
    memory.rm("/sets/a.dct/shard-00000.arrow")
    s = shards.open("memory://sets/a.dct")
    lost = int((s.shards == 0).sum())
    with pytest.raises(FileNotFoundError):
        s.read([0])
    with caplog.at_level(logging.WARNING):
        loader = torch_data.DCTLoader(s, batch_size=8, on_error="skip")
        assert sum(len(targets) for _, targets in loader) == COUNT - lost and len(loader.report()) == lost
    assert "shard-00000.arrow cannot be read" in caplog.text


@pytest.mark.parametrize("with_cache", [False, True])
def test_a_server_that_fails_is_an_error_of_the_system(server: Server, tmp_path: Path, with_cache: bool) -> None:
    s = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path if with_cache else None)
    server.broken = "shard-00001.arrow"
    broken = int(np.flatnonzero(s.shards == 1)[0])
    with pytest.raises(OSError, match="cannot be read"):
        s.read([0, broken])
    server.broken = ""
    assert len(s.read([0, broken])) == 2


class Refused(Exception):
    """What a storage client raises: no OSError."""


@pytest.mark.parametrize(
    "method, with_cache", [("cat_file", False), ("cat_file", True), ("cat_ranges", False), ("get_file", True)]
)
def test_what_a_storage_client_raises_is_told_with_the_url(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, with_cache: bool
) -> None:
    url, cause = "memory://sets/a.dct", Refused("no credentials")

    def refuse(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(type(memory), method, refuse)
    with pytest.raises(OSError, match=rf"^{url}.* cannot be read: Refused: no credentials$") as caught:
        shards.open(url, cache_dir=tmp_path if with_cache else None).read([0])
    assert caught.value.__cause__ is cause


def test_an_s3_bucket_without_credentials_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        for open_it in (shards.open, lambda url: open_source(f"{url}/x.tar", cache_dir=tmp_path)):
            with pytest.raises(OSError, match=r"^s3://b/a\.dct/.* cannot be read: NoCredentialsError: Unable to locate"):
                open_it("s3://b/a.dct")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_errors_that_are_clear_stay_what_they_are() -> None:
    for error in (FileNotFoundError("a"), PermissionError("b"), OSError(errno.ENOSPC, "No space left on device")):
        assert storage_error(error, "s3://b/x") is error
    told = storage_error(OSError(errno.EIO, "Slow\ndown"), "s3://b/x")
    assert str(told) == "s3://b/x cannot be read: OSError: [Errno 5] Slow down" and told.errno == errno.EIO


def test_a_record_damaged_on_its_way_is_found_each_time(memory: Any) -> None:
    s = shards.open("memory://sets/a.dct")
    s.read([0])
    name = "/sets/a.dct/shard-00000.arrow"
    data = bytearray(memory.cat_file(name))
    data[s.column("offset")[0].as_py() + s.column("nbytes")[0].as_py() - 2] ^= 2
    memory.pipe(name, bytes(data))
    with pytest.raises(JPEGError) as caught:
        s.read([0])
    assert caught.value.code == "record_damaged"


def test_what_came_damaged_is_not_kept(memory: Any, tmp_path: Path) -> None:
    name = "/sets/a.dct/shard-00000.arrow"
    data = bytearray(memory.cat_file(name))
    data[-1] ^= 1
    memory.pipe(name, bytes(data))
    s = shards.open("memory://sets/a.dct", cache_dir=tmp_path)
    with pytest.raises(OSError, match=r"is not what its manifest\.json says"):
        s.read([0])
    assert cached(tmp_path) == ["index.arrow"]


# ---------------------------------------------------------------------------------------------------------------- the cache


def test_each_shard_is_fetched_once(server: Server, stored: Path, tmp_path: Path) -> None:
    s = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path)
    for _ in range(2):
        assert bytes(s.read(range(COUNT)).buffer) == bytes(shards.open(stored).read(range(COUNT)).buffer)
    again = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path)
    again.read(range(COUNT))
    assert set(server.whole()) == {1} and server.asked["index.arrow"] == 1
    assert cached(tmp_path) == ["index.arrow", *sorted(path.name for path in stored.glob("shard-*"))]


def test_the_cache_keeps_its_size_and_the_latest_used(memory: Any, stored: Path, tmp_path: Path) -> None:
    files = sorted(stored.glob("shard-*"))
    size = sum(path.stat().st_size for path in files[:4]) - 1
    s = shards.open("memory://sets/a.dct", cache_dir=tmp_path, cache_size=size)
    first = [int(np.flatnonzero(s.shards == k)[0]) for k in range(len(files))]
    want = shards.open(stored)
    for k in (0, 1, 2):
        s.read([first[k]])
        moment = time.time() - 1000 + k
        os.utime(next(tmp_path.glob(f"*/{files[k].name}")), (moment, moment))
    s.read([first[3]])  # the oldest goes
    assert [name for name in cached(tmp_path) if "shard" in name] == [path.name for path in files[1:4]]
    for k in range(len(files)):  # evicted shards are fetched again
        assert bytes(s.read([first[k]]).buffer) == bytes(want.read([first[k]]).buffer)
        assert sum(path.stat().st_size for path in tmp_path.glob("*/shard-*")) <= size


def test_one_shard_is_kept_whatever_its_size(memory: Any, tmp_path: Path) -> None:
    s = shards.open("memory://sets/a.dct", cache_dir=tmp_path, cache_size=1)
    s.read(range(COUNT))
    assert len([name for name in cached(tmp_path) if name.startswith("shard")]) == 1


def test_another_set_at_the_same_place_has_other_files(memory: Any, source: Path, tmp_path: Path) -> None:
    shards.open("memory://sets/a.dct", cache_dir=tmp_path / "cache").read([0])
    shards.extract(source, tmp_path / "b.dct", channels="6s", shard_size="4KiB")
    for path in (tmp_path / "b.dct").iterdir():
        memory.pipe(f"/sets/a.dct/{path.name}", path.read_bytes())
    s = shards.open("memory://sets/a.dct", cache_dir=tmp_path / "cache")
    assert bytes(s.read(range(COUNT)).buffer) == bytes(shards.open(tmp_path / "b.dct").read(range(COUNT)).buffer)


def test_what_a_killed_process_left_is_removed(memory: Any, tmp_path: Path) -> None:
    shards.open("memory://sets/a.dct", cache_dir=tmp_path)
    left = next(tmp_path.glob("*/index.arrow")).with_name("shard-00000.arrow.0badcafe.tmp")
    left.write_bytes(b"half a shard")
    left.with_name("shard-00000.arrow.lock").touch()
    shards.open("memory://sets/a.dct", cache_dir=tmp_path).read([0])
    assert cached(tmp_path) == ["index.arrow", "shard-00000.arrow"]


@pytest.mark.no_sanitizer
def test_processes_share_the_cache(server: Server, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        sums = pool.starmap(_read_all, [(f"{server.url}/a.dct", tmp_path)] * 3)
    assert len(set(sums)) == 1 and set(server.whole()) == {1}


def _read_all(url: str, cache: Path) -> int:
    s = shards.open(url, cache_dir=cache)
    return zlib.crc32(s.read(range(COUNT)).buffer)


@pytest.mark.no_sanitizer
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("with_cache", [False, True])
def test_a_forked_child_reads_on(server: Server, tmp_path: Path, with_cache: bool) -> None:
    s = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path if with_cache else None)
    want = bytes(s.read([0, 9]).buffer)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put((bytes(s.read([0, 9]).buffer) == want, len(s.read([25])))))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and queue.get() == (True, 1)


# --------------------------------------------------------------------------------------------------------------- the loader


class TestLoader:
    @pytest.fixture(autouse=True)
    def torch(self) -> Any:
        return pytest.importorskip("torch")

    def batches(self, given: Any, **options: Any) -> list[Any]:
        from dctload import DCTLoader
        from dctload import transforms as T

        facts = {"batch_size": 4, "shuffle": True, "transform": T.RandomResizedCrop(32), "fields": ("index",), **options}
        return list(DCTLoader(given, **facts))

    @pytest.mark.parametrize("given", ["url", "ranges", "cache"])
    def test_a_url_gives_what_the_folder_gives(
        self, server: Server, stored: Path, tmp_path: Path, torch: Any, given: str
    ) -> None:
        url = f"{server.url}/a.dct"
        remote = {"url": url, "ranges": shards.open(url, shuffle_window=16), "cache": shards.open(url, cache_dir=tmp_path)}[given]
        a, b = self.batches(remote), self.batches(shards.open(stored, shuffle_window=16))
        assert all(torch.equal(x, y) for one, two in zip(a, b, strict=True) for x, y in zip(one, two, strict=True))
        c, d = self.batches(remote, shuffle=False), self.batches(stored, shuffle=False)
        assert all(torch.equal(x, y) for one, two in zip(c, d, strict=True) for x, y in zip(one, two, strict=True))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_each_shard_is_fetched_about_once_an_epoch_by_a_small_cache(
        self, server: Server, stored: Path, tmp_path: Path, workers: int
    ) -> None:
        largest = max(path.stat().st_size for path in stored.glob("shard-*"))
        s = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path, cache_size=4 * largest, shuffle_window=2)
        indices = [i for *_, index in self.batches(s, num_workers=workers) for i in index.tolist()]
        assert sorted(indices) == list(range(COUNT)) and set(server.whole()) == {1}

    def test_shards_are_fetched_before_they_are_needed(self, server: Server, tmp_path: Path) -> None:
        s = shards.open(f"{server.url}/a.dct", cache_dir=tmp_path)
        with s.ahead_of([np.array([29]), np.array([0, 15])]):
            wanted = {f"shard-{s.shards[i]:05d}.arrow" for i in (29, 0, 15)}
            deadline = time.monotonic() + 20
            while not wanted <= set(cached(tmp_path)) and time.monotonic() < deadline:
                time.sleep(0.01)
        assert {name for name in cached(tmp_path) if name.endswith("arrow")} == {"index.arrow", *wanted}


# -------------------------------------------------------------------------------------------------------------- prefetching


def until(condition: Any) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    return bool(condition())


def test_prefetching_stays_some_shards_ahead_and_goes_by_need() -> None:
    fetched: list[int] = []
    batches = [np.array([5, 5]), np.array([5, 2]), np.array([2, 7, 1]), np.array([0])]
    prefetcher = Prefetcher(fetched.append, iter(batches), 8, ahead=2)
    assert until(lambda: len(fetched) == 2) and sorted(fetched) == [2, 5]
    time.sleep(0.05)
    assert len(fetched) == 2
    prefetcher.reached([5])
    assert until(lambda: len(fetched) == 3) and fetched[2] == 1
    prefetcher.reached([2, 1, 4])  # 4 is not in its list
    assert until(lambda: len(fetched) == 5) and sorted(fetched) == [0, 1, 2, 5, 7]
    prefetcher.close()


def test_prefetching_ends_when_it_is_closed_and_outlives_errors() -> None:
    fetched: list[int] = []

    def fetch(number: int) -> None:
        fetched.append(number)
        if number == 0:
            raise OSError("no network")

    prefetcher = Prefetcher(fetch, (np.array([k]) for k in range(1000)), 1000, ahead=3)
    assert until(lambda: len(fetched) == 3)
    prefetcher.close()
    prefetcher.reached([0, 1, 2])
    time.sleep(0.05)
    assert len(fetched) == 3


def test_a_cache_folder_that_cannot_be_made_is_an_error(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        shards.open("memory://sets/a.dct", cache_dir=tmp_path / "file")
