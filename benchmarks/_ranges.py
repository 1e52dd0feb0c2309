"""Records by ranged requests from a local HTTP server: what an object store is asked for."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks._containers import Place


class FileServer:
    """Serves the files of a folder on 127.0.0.1, whole or in ranges, inside a `with` block."""

    def __init__(self, folder: Path) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # headers and body in one packet

            def do_GET(self) -> None:
                path = folder / Path(self.path).name
                if not path.is_file():
                    self.send_error(404)
                    return
                first, last = 0, path.stat().st_size - 1
                asked = self.headers.get("Range")
                if asked:
                    first, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
                with path.open("rb") as file:
                    file.seek(first)
                    data = file.read(last - first + 1)
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Nothing: every request would be a line on stderr."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def fetch(port: int, places: Sequence[Place]) -> tuple[float, list[bytes]]:
    """Records by one ranged request each over one connection: seconds, and their bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found = []
    begin = time.perf_counter()
    try:
        for name, offset, nbytes in places:
            connection.request("GET", f"/{name}", headers={"Range": f"bytes={offset}-{offset + nbytes - 1}"})
            answer = connection.getresponse()
            found.append(answer.read())
            if answer.status != 206:
                raise ValueError(f"{name}: status {answer.status}")
    finally:
        connection.close()
    return time.perf_counter() - begin, found
