"""Writes odd but exact JPEG streams from known coefficients: the test suite's maker of files that nobody has.

`content(...)` draws coefficient planes from a seed, `encode(content, scans, ...)` writes them as a `Stream` of named
parts (SOI, DQT, SOF, DHT, DRI, SOS, ECS, RST, EOI ...), and faults are made by editing the parts. Nothing here is
clever or quick, and nothing is shared with the package or with the oracle but the zigzag order and T.81's K.3 tables.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from oracle import STANDARD_TABLES, ZIGZAG, ceil_div

Factors = tuple[tuple[int, int], ...]
Block = list[int]  # 64 coefficients in zigzag order
Symbol = tuple[tuple[int, int], int]  # ((class, table), symbol)
Token = tuple[Symbol | None, int, int]  # symbol, then `length` bits of `value`: (symbol, value, length)

LAYOUTS: dict[str, Factors] = {
    "gray": ((1, 1),),
    "gray 2x2": ((2, 2),),
    "two components": ((1, 1), (1, 1)),
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
    "4:2:2": ((2, 1), (1, 1), (1, 1)),
    "4:4:0": ((1, 2), (1, 1), (1, 1)),
    "4:1:1": ((4, 1), (1, 1), (1, 1)),
    "4:1:0": ((4, 2), (1, 1), (1, 1)),
    "luma smaller": ((1, 1), (2, 2), (1, 2)),
    "3x1": ((3, 1), (1, 2), (1, 1)),
    "four": ((2, 1), (1, 1), (1, 2), (2, 1)),
}


@dataclass(frozen=True)
class Content:
    """Known coefficients: `planes[k]` int16 [64, rows, cols] row-major 8 * v + u, and what the headers shall say."""

    width: int
    height: int
    factors: Factors
    planes: tuple[np.ndarray, ...]
    ids: tuple[int, ...]
    table_ids: tuple[int, ...]  # quantisation table of each component
    quantization: Mapping[int, tuple[int, ...]]  # by identifier, row-major
    seed: int = 0

    @property
    def h_max(self) -> int:
        return max(h for h, _ in self.factors)

    @property
    def v_max(self) -> int:
        return max(v for _, v in self.factors)

    @property
    def mcus_across(self) -> int:
        """MCUs in a row of a scan of all components (of one component alone: its blocks)."""
        return self.planes[0].shape[2] if len(self.planes) == 1 else ceil_div(self.width, 8 * self.h_max)

    @property
    def mcus_down(self) -> int:
        return self.planes[0].shape[1] if len(self.planes) == 1 else ceil_div(self.height, 8 * self.v_max)

    def tables(self) -> list[np.ndarray]:
        return [np.array(self.quantization[t], np.uint16) for t in self.table_ids]


@dataclass(frozen=True)
class Scan:
    """One scan (B.2.3); `restart_interval` None leaves what is in force."""

    components: tuple[int, ...]
    ss: int = 0
    se: int = 63
    ah: int = 0
    al: int = 0
    restart_interval: int | None = None


@dataclass(frozen=True)
class Stream:
    """A file as named parts; every edit gives a new stream."""

    parts: tuple[tuple[str, bytes], ...] = ()

    def to_bytes(self) -> bytes:
        return b"".join(data for _, data in self.parts)

    def find(self, name: str, n: int = 0) -> int:
        """Index of the n-th part of that name."""
        return [i for i, (part, _) in enumerate(self.parts) if part == name][n]

    def offset(self, name: str, n: int = 0) -> int:
        """Byte where that part begins."""
        return sum(len(data) for _, data in self.parts[: self.find(name, n)])

    def get(self, name: str, n: int = 0) -> bytes:
        return self.parts[self.find(name, n)][1]

    def count(self, name: str) -> int:
        return sum(part == name for part, _ in self.parts)

    def drop(self, name: str, n: int = 0) -> Stream:
        at = self.find(name, n)
        return Stream(self.parts[:at] + self.parts[at + 1 :])

    def drop_all(self, name: str) -> Stream:
        return Stream(tuple(p for p in self.parts if p[0] != name))

    def put(self, name: str, data: bytes, n: int = 0) -> Stream:
        """The n-th part of that name with other bytes."""
        at = self.find(name, n)
        return Stream((*self.parts[:at], (name, data), *self.parts[at + 1 :]))

    def insert_before(self, name: str, data: bytes, n: int = 0, *, called: str = "EXTRA") -> Stream:
        at = self.find(name, n)
        return Stream((*self.parts[:at], (called, data), *self.parts[at:]))

    def append(self, data: bytes, called: str = "EXTRA") -> Stream:
        return Stream((*self.parts, (called, data)))


def grid(width: int, height: int, factors: Factors) -> list[tuple[int, int]]:
    """Block rows and columns of each component (A.1.1)."""
    h_max, v_max = max(h for h, _ in factors), max(v for _, v in factors)
    return [(ceil_div(ceil_div(height * v, v_max), 8), ceil_div(ceil_div(width * h, h_max), 8)) for h, v in factors]


def content(
    width: int,
    height: int,
    layout: str | Factors = "4:2:0",
    style: str = "natural",
    *,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    wide_quantization: bool = False,
) -> Content:
    """Random coefficients.

    Styles: "natural" (few, small, low), "dense" (all 64, no EOB), "sparse" (long runs), "extreme" (sizes up to 15),
    "flat" (DC only), "zero".
    """
    factors = LAYOUTS[layout] if isinstance(layout, str) else layout
    rng = np.random.default_rng(seed)
    planes = [draw(rng, rows, cols, style) for rows, cols in grid(width, height, factors)]
    table_ids = tuple(min(k, 1) for k in range(len(factors)))
    top = 65536 if wide_quantization else 256
    tables = {t: tuple(int(q) for q in rng.integers(1, top, 64)) for t in sorted(set(table_ids))}
    names = tuple(ids) if ids is not None else tuple(range(1, len(factors) + 1))
    return Content(width, height, factors, tuple(planes), names, table_ids, tables, seed)


def draw(rng: np.random.Generator, rows: int, cols: int, style: str) -> np.ndarray:
    """int16 [64, rows, cols] in row-major frequency order."""
    shape = (64, rows, cols)
    zigzag = np.zeros(shape, np.int64)
    position = np.arange(64)[:, None, None]
    if style == "natural":
        zigzag = np.rint(rng.laplace(0, 1, shape) * 12 / (1 + position) ** 0.9).astype(np.int64)
        zigzag[0] = np.clip(np.cumsum(rng.integers(-30, 31, (rows, cols)), axis=1), -900, 900)
    elif style == "dense":
        zigzag = rng.integers(-9, 10, shape)
        zigzag[63] = 1 + rng.integers(0, 4, (rows, cols))
    elif style == "sparse":
        zigzag = rng.integers(-3, 4, shape) * (rng.random(shape) < 0.02)
        zigzag[0] = rng.integers(-40, 41, (rows, cols)) * (rng.random((rows, cols)) < 0.5)
    elif style == "extreme":
        sizes = rng.integers(0, 16, shape)
        zigzag = rng.integers(0, 1 << 15, shape) & ((1 << sizes) - 1)
        zigzag *= rng.choice([-1, 1], shape) * (rng.random(shape) < 0.6)
        zigzag[0] = rng.integers(-16383, 16384, (rows, cols))  # differences of size 15
        zigzag[1 + rng.integers(0, 63), 0, 0] = 32767
    elif style == "flat":
        zigzag[0] = rng.integers(-200, 201, (rows, cols))
    elif style != "zero":
        raise ValueError(style)
    out = np.zeros(shape, np.int16)
    out[list(ZIGZAG)] = zigzag.astype(np.int16)
    return out


def with_planes(base: Content, planes: Sequence[np.ndarray]) -> Content:
    return replace(base, planes=tuple(np.asarray(p, np.int16) for p in planes))


# Scripts: which scans a file has.


def one_scan(c: Content) -> tuple[Scan, ...]:
    return (Scan(tuple(range(len(c.planes)))),)


def scan_a_component(c: Content) -> tuple[Scan, ...]:
    return tuple(Scan((k,)) for k in range(len(c.planes)))


def standard_progression(c: Content) -> tuple[Scan, ...]:
    """DC at Al 1, luma 1-5 and 6-63 at Al 2, chroma at Al 1, then refinements: what libjpeg's default looks like."""
    everything = tuple(range(len(c.planes)))
    others = everything[1:]
    return (
        Scan(everything, 0, 0, 0, 1),
        Scan((0,), 1, 5, 0, 2),
        *(Scan((k,), 1, 63, 0, 1) for k in others),
        Scan((0,), 6, 63, 0, 2),
        Scan((0,), 1, 63, 2, 1),
        Scan(everything, 0, 0, 1, 0),
        *(Scan((k,), 1, 63, 1, 0) for k in others),
        Scan((0,), 1, 63, 1, 0),
    )


def spectral_progression(c: Content, cuts: Sequence[int] = (1, 6, 64)) -> tuple[Scan, ...]:
    """DC, then AC bands [cuts[i], cuts[i + 1]) at full accuracy, component by component."""
    everything = tuple(range(len(c.planes)))
    bands = [Scan((k,), a, b - 1) for a, b in pairwise(cuts) for k in everything]
    return (Scan(everything, 0, 0), *bands)


def deep_approximation(c: Content, top: int = 10) -> tuple[Scan, ...]:
    """DC and AC begin at Al = `top` and are refined bit by bit."""
    everything = tuple(range(len(c.planes)))
    scans = [Scan(everything, 0, 0, 0, top), *(Scan((k,), 1, 63, 0, top) for k in everything)]
    for al in reversed(range(top)):
        scans += [Scan(everything, 0, 0, al + 1, al), *(Scan((k,), 1, 63, al + 1, al) for k in everything)]
    return tuple(scans)


def random_progression(c: Content, seed: int) -> tuple[Scan, ...]:
    """Any legal order of DC scans in groups, AC bands of any width, and refinements of both."""
    rng = random.Random(seed)
    chains: list[list[Scan]] = []
    left = list(range(len(c.planes)))
    while left:
        group = [left.pop(0)]
        while left and rng.random() < 0.6 and mcu_blocks(c, [*group, left[0]]) <= 10:
            group.append(left.pop(0))
        chains.append(refined(tuple(group), 0, 0, rng.randrange(4)))
    for k in range(len(c.planes)):
        cuts = sorted({1, 64, *(rng.randrange(2, 64) for _ in range(rng.randrange(4)))})
        chains += [refined((k,), a, b - 1, rng.randrange(4)) for a, b in pairwise(cuts)]
    out: list[Scan] = []
    seen_dc: set[int] = set()
    while any(chains):
        # G.1.1.1.1: a component's first DC scan comes before its AC scans.
        ready = [q for q in chains if q and (q[0].ss == 0 or q[0].components[0] in seen_dc)]
        scan = rng.choice(ready).pop(0)
        seen_dc |= set(scan.components) if scan.ss == 0 else set()
        out.append(scan)
    return tuple(out)


def refined(components: tuple[int, ...], ss: int, se: int, top: int) -> list[Scan]:
    return [Scan(components, ss, se, 0, top), *(Scan(components, ss, se, al + 1, al) for al in reversed(range(top)))]


def mcu_blocks(c: Content, components: Sequence[int]) -> int:
    return sum(c.factors[k][0] * c.factors[k][1] for k in components)


def expected_planes(c: Content, scans: Sequence[Scan], *, progressive: bool) -> list[np.ndarray]:
    """What a decoder must return after these scans: bands that never came are zero, lost low bits too."""
    out = []
    for k, plane in enumerate(c.planes):
        kept = np.zeros_like(plane)
        for zigzag, freq in enumerate(ZIGZAG):
            levels = [s.al for s in scans if k in s.components and s.ss <= zigzag <= s.se]
            if levels:
                al = levels[-1] if progressive else 0
                values = plane[freq].astype(np.int64)
                cut = values >> al << al if zigzag == 0 else np.sign(values) * (abs(values) >> al << al)
                kept[freq] = cut
        out.append(kept)
    return out


# Entropy coding: blocks -> tokens -> tables -> bits.


def magnitude(value: int) -> tuple[int, int]:
    """Size and additional bits of a DC difference or AC coefficient (F.1.2.1, F.1.2.2)."""
    size = abs(value).bit_length()
    return size, value if value >= 0 else value + (1 << size) - 1


@dataclass
class BlockCoder:
    """Tokens of one scan's blocks; restart() begins a new interval."""

    scan: Scan
    progressive: bool
    dc_tables: Mapping[int, int]
    ac_tables: Mapping[int, int]
    eob_run_limit: int = 32767
    trailing_zrl: bool = False
    intervals: list[list[Token]] = field(default_factory=list)
    prediction: dict[int, int] = field(default_factory=dict)
    eob_run: int = 0
    pending_bits: list[int] = field(default_factory=list)
    component: int = 0

    def restart(self) -> None:
        self.finish()
        self.intervals.append([])
        self.prediction = {}

    def finish(self) -> None:
        if self.intervals:
            self.flush_eob_run()

    def emit(self, klass: int, symbol: int, value: int = 0, length: int = 0) -> None:
        table = (self.ac_tables if klass else self.dc_tables)[self.component]
        self.intervals[-1].append((((klass, table), symbol), value, length))

    def bits(self, value: int, length: int) -> None:
        if length:
            self.intervals[-1].append((None, value, length))

    def block(self, component: int, block: Block) -> None:
        self.component = component
        scan = self.scan
        if not self.progressive:
            self.dc(block[0])
            self.ac(block)
        elif scan.ss == 0 and scan.ah == 0:
            self.dc(block[0] >> scan.al)
        elif scan.ss == 0:
            self.bits(block[0] >> scan.al & 1, 1)
        elif scan.ah == 0:
            self.ac_first(block)
        else:
            self.ac_refine(block)

    def dc(self, value: int) -> None:
        size, bits = magnitude(value - self.prediction.get(self.component, 0))
        self.prediction[self.component] = value
        self.emit(0, size, bits, size)

    def ac(self, block: Block) -> None:
        """F.1.2.2; with `trailing_zrl`, runs of 16 zeros before the EOB are written too."""
        run = 0
        for value in block[1:]:
            if value == 0:
                run += 1
                continue
            self.run_and_value(run, value)
            run = 0
        if self.trailing_zrl:
            while run > 16:
                self.emit(1, 0xF0)
                run -= 16
        if run:
            self.emit(1, 0)

    def run_and_value(self, run: int, value: int) -> None:
        for _ in range(run // 16):
            self.emit(1, 0xF0)
        size, bits = magnitude(value)
        self.emit(1, run % 16 << 4 | size, bits, size)

    def ac_first(self, block: Block) -> None:
        """G.1.2.2."""
        run = 0
        for k in range(self.scan.ss, self.scan.se + 1):
            value = (abs(block[k]) >> self.scan.al) * (1 if block[k] > 0 else -1)
            if value == 0:
                run += 1
                continue
            self.flush_eob_run()
            self.run_and_value(run, value)
            run = 0
        if run:
            self.lengthen_eob_run([])

    def ac_refine(self, block: Block) -> None:
        """G.1.2.3: correction bits follow the symbol whose run passes them."""
        scan = self.scan
        levels = {k: abs(block[k]) >> scan.al for k in range(scan.ss, scan.se + 1)}
        last_new = max((k for k, level in levels.items() if level == 1), default=0)
        run, corrections = 0, list[int]()
        for k, level in levels.items():
            if level == 0:
                run += 1
                continue
            while run > 15 and k <= last_new:
                self.flush_eob_run()
                self.emit(1, 0xF0)
                self.corrections(corrections)
                run, corrections = run - 16, []
            if level > 1:
                corrections.append(level & 1)
                continue
            self.flush_eob_run()
            self.emit(1, run << 4 | 1, int(block[k] > 0), 1)
            self.corrections(corrections)
            run, corrections = 0, []
        if run or corrections:
            self.lengthen_eob_run(corrections)

    def corrections(self, bits: Sequence[int]) -> None:
        for bit in bits:
            self.bits(bit, 1)

    def lengthen_eob_run(self, corrections: list[int]) -> None:
        self.eob_run += 1
        self.pending_bits += corrections
        if self.eob_run == self.eob_run_limit:
            self.flush_eob_run()

    def flush_eob_run(self) -> None:
        if self.eob_run:
            size = self.eob_run.bit_length() - 1
            self.emit(1, size << 4, self.eob_run - (1 << size), size)
            self.corrections(self.pending_bits)
            self.eob_run, self.pending_bits = 0, []


Codes = dict[int, tuple[int, int]]  # symbol -> code, length


@dataclass(frozen=True)
class Table:
    """BITS and HUFFVAL (B.2.4.2)."""

    bits: bytes
    values: bytes

    def codes(self) -> Codes:
        """Annex C."""
        out: Codes = {}
        code = at = 0
        for length in range(1, 17):
            for value in self.values[at : at + self.bits[length - 1]]:
                out[value] = code, length
                code += 1
            at += self.bits[length - 1]
            code <<= 1
        return out


def optimal_table(counts: Mapping[int, int]) -> Table:
    """K.2: Huffman's code, limited to 16 bits, without the code of all ones."""
    nodes: list[tuple[int, tuple[int, ...]]] = [(n, (s,)) for s, n in sorted(counts.items())]
    nodes.append((0, (256,)))
    depth: Counter[int] = Counter()
    while len(nodes) > 1:
        nodes.sort(key=lambda node: (node[0], -max(node[1])))
        (n1, s1), (n2, s2) = nodes[:2]
        depth.update(s1 + s2)
        nodes = [(n1 + n2, s1 + s2), *nodes[2:]]
    lengths: Counter[int] = Counter(depth.values())
    for long in range(max(lengths, default=1), 16, -1):  # Figure K.3
        while lengths[long]:
            short = long - 2
            while not lengths[short]:
                short -= 1
            lengths[long] -= 2
            lengths[long - 1] += 1
            lengths[short + 1] += 2
            lengths[short] -= 1
    lengths[max(n for n in lengths if lengths[n])] -= 1  # the reserved code
    order = sorted(counts, key=lambda s: (depth[s], s))
    return Table(bytes(lengths[n] for n in range(1, 17)), bytes(order))


def deep_table(symbols: Sequence[int]) -> Table:
    """All but seven symbols have 16-bit codes; seven, the last ones, take one code each of 1 to 7 bits."""
    short = min(7, max(len(symbols) - 1, 0))
    ordered = [*reversed(symbols)]
    bits = [int(n < short) for n in range(16)]
    bits[15] = len(symbols) - short
    return Table(bytes(bits), bytes(ordered))


def full_table() -> Table:
    """All 256 symbols, 255 of eight bits being one too many: 254 of eight, two of nine bits."""
    return Table(bytes([0] * 7 + [254, 2] + [0] * 7), bytes(range(256)))


def choose_tables(tokens: Sequence[Token], kind: str) -> dict[tuple[int, int], Table]:
    """Tables that hold all symbols of these tokens, by kind; "full" has all 256 AC symbols."""
    counts: dict[tuple[int, int], Counter[int]] = {}
    for symbol, _, _ in tokens:
        if symbol is not None:
            counts.setdefault(symbol[0], Counter())[symbol[1]] += 1
    out = {}
    for key, used in sorted(counts.items()):
        if kind == "optimal":
            out[key] = optimal_table(used)
        elif kind == "standard":
            out[key] = Table(*STANDARD_TABLES[key])
        elif kind == "deep":
            out[key] = deep_table([s for s, _ in used.most_common()])
        elif kind == "full":
            out[key] = full_table() if key[0] else optimal_table(used)
        else:
            raise ValueError(kind)
    return out


def pack_bits(tokens: Sequence[Token], codes: Mapping[tuple[int, int], Codes], pad_bit: int = 1) -> bytes:
    """Entropy-coded data: padded to a byte (F.1.2.3), FF stuffed (B.1.1.5)."""
    text = []
    for symbol, value, length in tokens:
        if symbol is not None:
            code, size = codes[symbol[0]][symbol[1]]
            text.append(f"{code:0{size}b}")
        if length:
            text.append(f"{value:0{length}b}")
    bits = "".join(text)
    bits += str(pad_bit) * (-len(bits) % 8)
    return int("0" + bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


# Markers and segments.


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def dqt(tables: Mapping[int, Sequence[int]], *, wide: bool = False) -> bytes:
    body = b""
    for identifier, table in tables.items():
        elements = (int(table[freq]).to_bytes(2 if wide else 1, "big") for freq in ZIGZAG)
        body += bytes([wide << 4 | identifier]) + b"".join(elements)
    return segment(0xDB, body)


def dht(tables: Mapping[tuple[int, int], Table]) -> bytes:
    return segment(0xC4, b"".join(bytes([k << 4 | n]) + t.bits + t.values for (k, n), t in tables.items()))


def dri(interval: int) -> bytes:
    return segment(0xDD, interval.to_bytes(2, "big"))


def sof(c: Content, process: str, *, precision: int = 8, marker: int | None = None) -> bytes:
    if marker is None:
        marker = {"baseline": 0xC0, "extended": 0xC1, "progressive": 0xC2}[process]
    body = bytes([precision]) + c.height.to_bytes(2, "big") + c.width.to_bytes(2, "big") + bytes([len(c.planes)])
    for identifier, (h, v), table in zip(c.ids, c.factors, c.table_ids, strict=True):
        body += bytes([identifier, h << 4 | v, table])
    return segment(marker, body)


def sos(c: Content, scan: Scan, dc: Mapping[int, int], ac: Mapping[int, int]) -> bytes:
    body = bytes([len(scan.components)])
    for k in scan.components:
        body += bytes([c.ids[k], dc[k] << 4 | ac[k]])
    return segment(0xDA, body + bytes([scan.ss, scan.se, scan.ah << 4 | scan.al]))


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def exif(orientation: int, order: str = "big", *, before: int = 0) -> bytes:
    """APP1 with one directory; `before` other entries stand in front of the orientation."""

    def n(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if order == "little" else "big")

    entries = b"".join(n(0x0100 + i, 2) + n(4, 2) + n(1, 4) + n(7, 4) for i in range(before))
    entries += n(0x0112, 2) + n(3, 2) + n(1, 4) + n(orientation, 2) + n(0, 2)
    head = (b"II" if order == "little" else b"MM") + n(42, 2) + n(8, 4)
    return segment(0xE1, b"Exif\0\0" + head + n(before + 1, 2) + entries + n(0, 4))


# The whole file.


@dataclass(frozen=True)
class Writing:
    """How a file is written; the coefficients do not depend on it."""

    process: str = "baseline"
    restart_interval: int = 0
    tables: str = "optimal"  # "optimal" | "standard" | "deep" | "full"
    dht: str = "joined"  # one segment a scan; "split": a segment a table; "upfront": once; "none"
    tables_by_component: tuple[int, ...] | None = None  # Huffman table identifiers; default luma 0, others 1
    wide_dqt: bool = False  # 16-bit elements
    split_dqt: bool = False
    requantize: Mapping[int, Mapping[int, tuple[int, ...]]] = field(default_factory=dict)  # scan -> tables before it
    extras: tuple[bytes, ...] = ()  # segments behind SOI
    fill: int = 0  # FF bytes before each marker
    pad_bit: int = 1
    eoi: bool = True
    eob_run_limit: int = 32767
    trailing_zrl: bool = False


def encode(c: Content, scans: Sequence[Scan] | None = None, how: Writing | None = None, **options: Any) -> Stream:
    """The stream of these coefficients; `options` are fields of Writing."""
    how = replace(how or Writing(), **options)
    scans = one_scan(c) if scans is None else tuple(scans)
    numbers = how.tables_by_component or tuple(min(k, 1) for k in range(len(c.planes)))
    chosen = dict(enumerate(numbers))
    coded = code_scans(c, scans, how, chosen)
    everything = [token for intervals in coded for interval in intervals for token in interval]
    common = choose_tables(everything, how.tables) if how.dht == "upfront" else None

    parts: list[tuple[str, bytes]] = [("SOI", b"\xff\xd8")]
    parts += [("APP", extra) for extra in how.extras]
    groups = [{t: q} for t, q in c.quantization.items()] if how.split_dqt else [dict(c.quantization)]
    parts += [("DQT", dqt(group, wide=how.wide_dqt)) for group in groups]
    parts.append(("SOF", sof(c, how.process)))
    if common:
        parts.append(("DHT", dht(common)))
    interval_in_force = 0
    for number, (scan, intervals) in enumerate(zip(scans, coded, strict=True)):
        if number in how.requantize:
            parts.append(("DQT", dqt(how.requantize[number], wide=how.wide_dqt)))
        wanted = how.restart_interval if scan.restart_interval is None else scan.restart_interval
        if wanted != interval_in_force:
            parts.append(("DRI", dri(wanted)))
            interval_in_force = wanted
        tables = common or choose_tables([t for interval in intervals for t in interval], how.tables)
        if tables and how.dht in ("joined", "split"):
            sets = [{key: table} for key, table in tables.items()] if how.dht == "split" else [tables]
            parts += [("DHT", dht(s)) for s in sets]
        codes = {key: table.codes() for key, table in tables.items()}
        parts.append(("SOS", sos(c, scan, chosen, chosen)))
        for i, interval in enumerate(intervals):
            if i:
                parts.append(("RST", bytes((0xFF, 0xD0 + (i - 1) % 8))))
            parts.append(("ECS", pack_bits(interval, codes, how.pad_bit)))
    if how.eoi:
        parts.append(("EOI", b"\xff\xd9"))
    filled = ((name, data if name in ("SOI", "ECS") else b"\xff" * how.fill + data) for name, data in parts)
    return Stream(tuple(filled))


def code_scans(c: Content, scans: Sequence[Scan], how: Writing, tables: Mapping[int, int]) -> list[list[list[Token]]]:
    """Tokens by scan and restart interval."""
    blocks = [padded_blocks(c, k) for k in range(len(c.planes))]
    out = []
    for scan in scans:
        coder = BlockCoder(scan, how.process == "progressive", tables, tables, how.eob_run_limit, how.trailing_zrl)
        interval = how.restart_interval if scan.restart_interval is None else scan.restart_interval
        for number, mcu in enumerate(mcu_order(c, scan.components)):
            if number == 0 or (interval and number % interval == 0):
                coder.restart()
            for k, row, col in mcu:
                coder.block(k, blocks[k][row][col])
        coder.finish()
        out.append(coder.intervals)
    return out


def padded_blocks(c: Content, component: int) -> list[list[Block]]:
    """Blocks [row][col] in zigzag order, filled up to whole MCUs with what a decoder must drop."""
    plane = c.planes[component][list(ZIGZAG)]
    h, v = c.factors[component]
    down = ceil_div(c.height, 8 * c.v_max) * v - plane.shape[1]
    across = ceil_div(c.width, 8 * c.h_max) * h - plane.shape[2]
    padded = np.pad(plane, ((0, 0), (0, down), (0, across)), mode="edge")
    padded[1:, plane.shape[1] :] = 0
    padded[1:, :, plane.shape[2] :] = 0
    padded[1, plane.shape[1] :] = 3
    padded[1, :, plane.shape[2] :] = 3
    blocks: list[list[Block]] = padded.transpose(1, 2, 0).tolist()
    return blocks


def mcu_order(c: Content, components: Sequence[int]) -> Iterator[list[tuple[int, int, int]]]:
    """(component, block row, block column) of each MCU: A.2.2 for one component, A.2.3 for several."""
    if len(components) == 1:
        _, rows, cols = c.planes[components[0]].shape
        for row in range(rows):
            for col in range(cols):
                yield [(components[0], row, col)]
        return
    for row in range(ceil_div(c.height, 8 * c.v_max)):
        for col in range(ceil_div(c.width, 8 * c.h_max)):
            yield [
                (k, row * v + y, col * h + x)
                for k, (h, v) in ((k, c.factors[k]) for k in components)
                for y in range(v)
                for x in range(h)
            ]
