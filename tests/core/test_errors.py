"""Every error code has a stream that makes it; errors say what, where and what to do."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import dctload
import dctload.errors
from support import jpeg_builder as jb

CONTENT = jb.content(40, 27, "4:2:0", seed=1)
STREAM = jb.encode(CONTENT)
PROGRESSIVE = jb.encode(CONTENT, jb.standard_progression(CONTENT), process="progressive")
RESTARTS = jb.encode(jb.content(160, 96, "4:2:0", seed=7), restart_interval=5)


def frame(marker: int = 0xC0, precision: int = 8, height: int = 27, width: int = 40, parts: bytes = b"") -> bytes:
    body = struct.pack(">BHHB", precision, height, width, 3) + (parts or b"\1\x22\0\2\x11\1\3\x11\1")
    return STREAM.put("SOF", jb.segment(marker, body)).to_bytes()


def before(name: str, data: bytes, stream: jb.Stream = STREAM) -> bytes:
    return stream.insert_before(name, data).to_bytes()


def scan_header(*, components: bytes = b"\3\1\0\2\x11\3\x11", rest: bytes = b"\0\x3f\0", stream: jb.Stream = STREAM) -> bytes:
    return stream.put("SOS", jb.segment(0xDA, components + rest)).to_bytes()


def huffman(bits: bytes, values: bytes, name: int = 0) -> bytes:
    return before("SOS", jb.segment(0xC4, bytes([name]) + bits + values))


def lengths(*counts: int) -> bytes:
    """BITS with these numbers of codes of 1, 2, ... bits."""
    return bytes(counts).ljust(16, b"\0")


def signature(*parts: bytes) -> bytes:
    return b"".join(parts).ljust(64, b"\0")


# Code -> streams that must give it, each with a word on the fault.
FAULTS: dict[str, dict[str, bytes]] = {
    "not_jpeg": {
        "PNG": signature(b"\x89PNG\r\n\x1a\n"),
        "GIF": signature(b"GIF89a"),
        "WebP": signature(b"RIFF\x10\0\0\0WEBPVP8 "),
        "BMP": signature(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
        "TIFF": signature(b"II*\0\x08\0\0\0"),
        "TIFF of Motorola": signature(b"MM\0*\0\0\0\x08"),
        "HEIF": signature(b"\0\0\0\x18ftypheic\0\0\0\0"),
        "AVIF": signature(b"\0\0\0\x18ftypavif\0\0\0\0"),
        "JPEG XL": signature(b"\xff\x0a"),
        "JPEG XL in a box": signature(b"\0\0\0\x0cJXL \r\n\x87\n"),
        "JPEG 2000": signature(b"\0\0\0\x0cjP  \r\n\x87\n"),
        "PDF": signature(b"%PDF-1.7\n"),
        "ZIP": signature(b"PK\3\4"),
        "HTML": b"<!DOCTYPE html><html><body>404 not found</body></html>",
        "empty": b"",
        "noise": bytes(range(1, 200)),
        "junk before SOI": b"\0" + STREAM.to_bytes(),
        "one byte of SOI": b"\xff",
    },
    "no_image": {
        "SOI alone": b"\xff\xd8",
        "SOI and EOI": b"\xff\xd8\xff\xd9",
        "tables without a frame": STREAM.drop("SOF").drop("SOS").drop("ECS").to_bytes(),
        "frame without a scan": STREAM.drop("SOS").drop("ECS").to_bytes(),
        "cut in the header": STREAM.to_bytes()[:100],
    },
    "arithmetic": {"sequential": frame(0xC9), "progressive": frame(0xCA)},
    "lossless": {"Huffman": frame(0xC3), "arithmetic": frame(0xCB)},
    "hierarchical": {
        "differential sequential": frame(0xC5),
        "differential progressive": frame(0xC6),
        "differential arithmetic": frame(0xCD),
        "DHP": before("SOF", jb.segment(0xDE, b"\x08\0\x1b\0\x28\1\1\x11\0")),
        "EXP": before("SOS", jb.segment(0xDF, b"\x11")),
    },
    "precision": {"12 bits": frame(0xC1, 12), "16 bits": frame(0xC1, 16), "2 bits": frame(0xC0, 2)},
    "jpeg_ls": {"SOF55": frame(0xF7)},
    "bad_marker": {"RES": before("DQT", b"\xff\x02\0\4ab"), "JPG3": before("SOS", jb.segment(0xF3, b"ab"))},
    "bad_length": {
        "SOF of another length": before("SOF", b"").replace(STREAM.get("SOF"), jb.segment(0xC0, STREAM.get("SOF")[4:-1])),
        "SOF too long": before("SOF", b"").replace(STREAM.get("SOF"), jb.segment(0xC0, STREAM.get("SOF")[4:] + b"\0")),
        "SOS of another length": scan_header(rest=b"\0\x3f"),
        "DQT cut": before("SOF", jb.segment(0xDB, b"\0" + bytes(63))),
        "DHT cut": before("SOS", jb.segment(0xC4, b"\0" + bytes(10))),
        "DRI of three bytes": before("SOS", jb.segment(0xDD, b"\0\1\2")),
        "DQT of length 1": before("SOF", b"\xff\xdb\0\1"),
    },
    "bad_frame": {
        "height 0": frame(height=0),
        "width 0": frame(width=0),
        "factor 0": frame(parts=b"\1\x02\0\2\x11\1\3\x11\1"),
        "factor 5": frame(parts=b"\1\x25\0\2\x11\1\3\x11\1"),
        "no component": STREAM.put("SOF", jb.segment(0xC0, b"\x08\0\x1b\0\x28\0")).to_bytes(),
    },
    "duplicate_marker": {
        "second SOI": before("DQT", b"\xff\xd8"),
        "second SOF": before("DHT", STREAM.get("SOF")),
    },
    "bad_quantization": {"table 4": before("SOF", jb.segment(0xDB, b"\4" + bytes([1]) * 64))},
    "missing_quantization": {
        "none at all": STREAM.drop("DQT").to_bytes(),
        "table 3": frame(parts=b"\1\x22\3\2\x11\1\3\x11\1"),
        "table 9": frame(parts=b"\1\x22\x09\2\x11\1\3\x11\1"),
    },
    "bad_huffman": {
        "three codes of one bit": huffman(lengths(3), b"\0\1\2"),
        "two codes of one bit": huffman(lengths(2), b"\0\1"),
        "all ones": huffman(lengths(1, 1, 2), b"\0\1\2\3"),
        "table 4": huffman(lengths(0, 2), b"\0\1", 4),
        "DC size 16": huffman(lengths(0, 2), b"\x10\0"),
        "too many codes": huffman(b"\xff" * 16, bytes(200)),
    },
    "missing_huffman": {
        "table 2": scan_header(components=b"\3\1\x20\2\x11\3\x11"),
        "table 3 of AC": scan_header(components=b"\3\1\x03\2\x11\3\x11"),
        "progressive without any": PROGRESSIVE.drop_all("DHT").to_bytes(),
    },
    "bad_scan": {
        "unknown component": scan_header(components=b"\3\x09\0\2\x11\3\x11"),
        "one component twice": scan_header(components=b"\3\1\0\1\x11\3\x11"),
        "eleven blocks": jb.encode(jb.content(40, 40, ((4, 2), (2, 1), (1, 1)))).to_bytes(),
        "scan before the frame": before("SOF", STREAM.get("SOS")),
        "a second scan of a whole image": STREAM.insert_before("EOI", STREAM.get("SOS") + STREAM.get("ECS")).to_bytes(),
    },
    "bad_progression": {
        "DC and AC together": scan_header(rest=b"\0\5\0", stream=PROGRESSIVE),
        "Se before Ss": PROGRESSIVE.put("SOS", jb.sos(CONTENT, jb.Scan((0,), 9, 5), {0: 0}, {0: 0}), 1).to_bytes(),
        "Se 64": PROGRESSIVE.put("SOS", jb.sos(CONTENT, jb.Scan((0,), 9, 64), {0: 0}, {0: 0}), 1).to_bytes(),
        "AC of two components": PROGRESSIVE.put(
            "SOS", jb.sos(CONTENT, jb.Scan((0, 1), 1, 5), {0: 0, 1: 1}, {0: 0, 1: 1}), 1
        ).to_bytes(),
        "Al 14": scan_header(rest=b"\0\0\x0e", stream=PROGRESSIVE),
        "a refinement by two bits": scan_header(rest=b"\0\0\x31", stream=PROGRESSIVE),
    },
    "bad_conditioning": {
        "table 32": before("SOS", jb.segment(0xCC, b"\x20\x01")),
        "L above U": before("SOS", jb.segment(0xCC, b"\x00\x01\x01\x23")),
    },
    "data_truncated": {
        "half of the data": STREAM.to_bytes()[: STREAM.offset("ECS") + len(STREAM.get("ECS")) // 2],
        "no data": STREAM.to_bytes()[: STREAM.offset("ECS")],
        "EOI at once": STREAM.put("ECS", b"").to_bytes(),
        "half of a progressive scan": PROGRESSIVE.put("ECS", PROGRESSIVE.get("ECS", 3)[:4], 3).to_bytes(),
        "a component's scan is missing": jb.encode(CONTENT, jb.scan_a_component(CONTENT)).to_bytes()[:-60],
    },
    "restart_lost": {
        "one interval": RESTARTS.drop("RST", 2).drop("ECS", 3).to_bytes(),
        "one marker": RESTARTS.drop("RST", 2).to_bytes(),
        "two swapped": RESTARTS.put("RST", b"\xff\xd3", 2).put("RST", b"\xff\xd2", 3).to_bytes(),
    },
    "limit_pixels": {"4e9": frame(height=65535, width=65535)},
    "limit_components": {
        "five": STREAM.put(
            "SOF", jb.segment(0xC0, b"\x08\0\x1b\0\x28\5" + b"".join(bytes([k, 0x11, 0]) for k in range(5)))
        ).to_bytes(),
    },
}

# Codes whose streams need more than bytes, with the test that covers each.
COVERED_ELSEWHERE = {
    "io_error": "test_a_file_that_cannot_be_read",
    "bad_code": "test_a_bit_pattern_that_is_no_code_in_progressive_data",
    "limit_scans": "test_limits.py",
    "limit_bytes": "test_limits.py",
    "region_outside": "test_a_region_outside_the_image",
    "record_damaged": "test_stored.py",
    "channels_missing": "test_stored.py",
}
# Codes that no test can make in reasonable time or memory, with the reason.
NOT_MADE = {
    "limit_record": "a record of 4 GiB needs an image beyond the limit of pixels",
    "no_memory": "the machine would have to run out of memory",
    "color_space": "the core decodes such files; tests/data/test_loader.py makes it",
}


def every_fault() -> list[tuple[str, str]]:
    return [(code, fault) for code, streams in FAULTS.items() for fault in streams]


@pytest.mark.parametrize("code, fault", every_fault(), ids=lambda text: text.replace(" ", "-"))
def test_fault_has_its_code_place_and_remedy(code: str, fault: str, tmp_path: Path) -> None:
    data = FAULTS[code][fault]
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    error = caught.value
    assert error.code == code
    assert isinstance(error, ValueError)
    assert error.offset is None or 0 <= error.offset <= len(data)
    assert error.index is None and error.source is None
    path = tmp_path / "some name.jpg"
    path.write_bytes(data)
    with pytest.raises(dctload.JPEGError, match=r"some name\.jpg") as caught:
        dctload.read_coefficients(path)
    assert caught.value.code == code and str(caught.value.source).endswith("some name.jpg")
    assert "\n" not in str(caught.value), "what, where and remedy, in one line"
    assert ";" in str(caught.value)
    batch = dctload.extract([data], on_error="mark", num_threads=1)
    marked = batch.error(0)
    assert marked is not None and type(marked) is type(error)
    assert (batch.status[0], marked.code, marked.index) == (code, code, 0)
    assert (marked.offset or 0) == (error.offset or 0)
    with pytest.raises(type(error)) as caught:
        dctload.extract([data], num_threads=1)
    assert (caught.value.code, caught.value.index) == (code, 0)


@pytest.mark.parametrize("code, fault", every_fault(), ids=lambda text: text.replace(" ", "-"))
def test_keeping_truncated_files_forgives_no_fault_of_the_first_headers(code: str, fault: str) -> None:
    if code in ("data_truncated", "restart_lost"):
        got = dctload.read_coefficients(FAULTS[code][fault], truncated="keep")
        assert got.status in ("truncated", "damaged")
        return
    try:
        got = dctload.read_coefficients(FAULTS[code][fault], truncated="keep")
    except dctload.JPEGError as error:
        assert error.code == code
    else:  # a fault behind the first scan's data: what came before it is kept
        assert code == "bad_progression"
        assert got.status == "truncated"


@pytest.mark.parametrize("code", ["not_jpeg", "arithmetic", "lossless", "hierarchical", "precision", "jpeg_ls"])
def test_unsupported_processes_have_a_type_and_a_name(code: str) -> None:
    words = {"arithmetic": "arithmetic", "lossless": "lossless", "hierarchical": "hierarchical", "jpeg_ls": "JPEG-LS"}
    for fault, data in FAULTS[code].items():
        with pytest.raises(dctload.UnsupportedJPEG) as caught:
            dctload.read_header(data)
        process = caught.value.process
        if code == "not_jpeg":
            assert process.startswith("not a JPEG")
            name = fault.split(" of ")[0].split(" in ")[0]
            if name not in ("noise", "junk before SOI", "one byte"):
                assert name.lower() in process.lower()
        elif code == "precision":
            assert process == fault.replace(" bits", "-bit")
        else:
            assert words[code].lower() in process.lower()


def test_limits_have_a_type_of_their_own() -> None:
    for code in ("limit_pixels", "limit_components"):
        for data in FAULTS[code].values():
            with pytest.raises(dctload.LimitExceeded):
                dctload.read_header(data)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    batch = dctload.extract([tmp_path / "absent.jpg"], on_error="mark")
    error = batch.error(0)
    assert batch.status[0] == "io_error" and error is not None and error.code == "io_error"


def test_a_bit_pattern_that_is_no_code_in_progressive_data() -> None:
    content = jb.content(320, 320, "gray", "natural", seed=2)
    stream = jb.encode(content, jb.spectral_progression(content), process="progressive")
    body = stream.get("ECS", 1)
    data = stream.put("ECS", body[:30] + b"\xff\0" * 6 + body[42:], 1).to_bytes()
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    assert caught.value.code == "bad_code"


def test_a_region_outside_the_image() -> None:
    with pytest.raises(ValueError, match="40"):
        dctload.read_coefficients(STREAM.to_bytes(), region=(27, 0, 1, 1))
    batch = dctload.extract([STREAM.to_bytes()] * 2, regions=[(27, 0, 1, 1), None], on_error="mark")
    assert list(batch.status) == ["region_outside", "ok"]


def table_of_codes() -> set[str]:
    """The codes of dctload.errors."""
    return {code.name for code in dctload.errors._CODES} - {"ok"}


def test_every_code_has_a_test() -> None:
    assert table_of_codes() == {*FAULTS, *COVERED_ELSEWHERE, *NOT_MADE}


def test_every_code_has_a_line_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
    if not page.exists():
        pytest.skip("docs/errors.md is not beside these tests")
    text = page.read_text()
    for code in table_of_codes():
        assert f"`{code}`" in text, code


def test_warnings_are_words() -> None:
    odd: dict[str, Callable[[], bytes]] = {
        "EOI": lambda: STREAM.drop("EOI").to_bytes(),
        "junk": lambda: before("SOF", b"junk"),
        "Annex K": lambda: jb.encode(CONTENT, tables="standard", dht="none").to_bytes(),
        "length": lambda: before("DQT", b"\xff\xfe\0\0"),
        "id": lambda: jb.encode(jb.content(40, 40, "4:4:4", ids=(1, 1, 2))).to_bytes(),
    }
    for word, make in odd.items():
        warnings = dctload.read_coefficients(make()).warnings
        assert len(warnings) == 1
        assert word in warnings[0]
