"""A slow, obvious reader of JPEG coefficients, written from ITU-T T.81: the judge of the fast one.

It reads 8-bit Huffman files (baseline, extended, progressive) and keeps to the text clause by clause; bits are read
one at a time. Where T.81 leaves open what a damaged stream means it follows libjpeg-turbo: a code of more than 16 bits
counts as 17 bits and symbol 0, a run past 63 stores at 63. Unlike libjpeg it invents nothing: an MCU whose data ran
out keeps what earlier scans gave it, which is zero in sequential files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

# T.81 Figure A.6: ZIGZAG[k] is the row-major frequency 8 * v + u of the k-th coefficient of the zigzag order.
ZIGZAG: tuple[int, ...] = tuple(
    8 * v + u for d in range(15) for v, u in sorted(((d - u, u) for u in range(8) if 0 <= d - u < 8), reverse=d % 2 == 0)
)

# T.81 K.3.3: the typical tables, as (BITS, HUFFVAL) by (class, identifier), which frames of Motion JPEG leave out.
_AC_LUMA = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3"
    "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA = bytes.fromhex(
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536"
    "3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a"
    "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
STANDARD_TABLES: dict[tuple[int, int], tuple[bytes, bytes]] = {
    (0, 0): (bytes.fromhex("00010501010101010100000000000000"), bytes(range(12))),
    (0, 1): (bytes.fromhex("00030101010101010101010000000000"), bytes(range(12))),
    (1, 0): (bytes.fromhex("0002010303020403050504040000017d"), _AC_LUMA),
    (1, 1): (bytes.fromhex("00020102040403040705040400010277"), _AC_CHROMA),
}


def ceil_div(a: int, b: int) -> int:
    return (a + b - 1) // b


class OracleError(ValueError):
    """The stream cannot be read at all; `code` is one of the oracle's own few words."""

    def __init__(self, code: str, offset: int) -> None:
        super().__init__(f"{code} at byte {offset}")
        self.code, self.offset = code, offset


@dataclass
class Component:
    """One component of the frame (B.2.2) and its blocks, each 64 integers in zigzag order."""

    id: int
    h: int
    v: int
    tq: int
    block_rows: int = 0
    block_cols: int = 0
    quantization: list[int] | None = None  # row-major, latched at the component's first scan
    blocks: list[list[int]] = field(default_factory=list)

    @property
    def plane(self) -> np.ndarray:
        """int16 [64, block_rows, block_cols], frequencies 8 * v + u; wider sums keep their low 16 bits."""
        out = np.zeros((64, self.block_rows, self.block_cols), np.int16)
        stacked = np.array(self.blocks, np.int64).reshape(self.block_rows, self.block_cols, 64)
        out[list(ZIGZAG)] = stacked.transpose(2, 0, 1).astype(np.int16)
        return out


@dataclass
class Picture:
    """What a file says: header facts, components, and how much of the entropy-coded data came."""

    width: int = 0
    height: int = 0
    process: str = ""
    h_max: int = 1
    v_max: int = 1
    components: list[Component] = field(default_factory=list)
    jfif: bool = False
    adobe_transform: int | None = None
    orientation: int = 1
    saw_eoi: bool = False
    bad_codes: int = 0
    warnings: list[str] = field(default_factory=list)
    scans: list[ScanReport] = field(default_factory=list)

    @property
    def planes(self) -> list[np.ndarray]:
        return [c.plane for c in self.components]

    @property
    def valid_mcus(self) -> int:
        """MCUs that came: of a one-scan file in scan order, else MCU rows complete in every scan, times MCUs a row."""
        if len(self.scans) == 1 and len(self.scans[0].components) == len(self.components):
            return sum(self.scans[0].valid)
        if {i for scan in self.scans for i in scan.components} != set(range(len(self.components))):
            return 0
        rows, across = ceil_div(self.height, 8 * self.v_max), ceil_div(self.width, 8 * self.h_max)
        if len(self.components) == 1:  # A.2.2: its MCU is one block, whatever its factors
            rows, across = self.components[0].block_rows, self.components[0].block_cols
        return across * sum(all(scan.row_is_complete(self, r) for scan in self.scans) for r in range(rows))

    @property
    def restart_interval(self) -> int:
        return self.scans[0].restart_interval if self.scans else 0

    @property
    def complete(self) -> bool:
        return all(all(scan.valid) for scan in self.scans)

    @property
    def color_space(self) -> str:
        """The colour space by JFIF, by Adobe's transform, else by the component identifiers."""
        ids = bytes(c.id for c in self.components)
        if len(ids) == 1:
            return "gray"
        if len(ids) == 3:
            if self.jfif:
                return "ycbcr"
            if self.adobe_transform is not None:
                return "rgb" if self.adobe_transform == 0 else "ycbcr"
            return "rgb" if ids == b"RGB" else "ycbcr"
        if len(ids) == 4:
            return "ycck" if self.adobe_transform == 2 else "cmyk"
        return "unknown"


@dataclass
class ScanReport:
    """One scan's parameters (B.2.3) and which of its MCUs came."""

    components: tuple[int, ...]
    ss: int
    se: int
    ah: int
    al: int
    mcus_across: int
    restart_interval: int = 0
    valid: list[bool] = field(default_factory=list)

    def row_is_complete(self, picture: Picture, row: int) -> bool:
        """Whether all of the image's MCU row came; a scan of one component counts its own block rows."""
        first, last = row, row + 1
        if len(self.components) == 1 and len(picture.components) > 1:
            component = picture.components[self.components[0]]
            first, last = row * component.v, min((row + 1) * component.v, component.block_rows)
        return all(self.valid[first * self.mcus_across : last * self.mcus_across])


class HuffmanTable:
    """Codes of Annex C, decoded bit by bit as in F.2.2.3."""

    def __init__(self, bits: bytes, values: bytes) -> None:
        self.codes: dict[tuple[int, int], int] = {}  # (length, code) -> value
        code, at = 0, 0
        for length in range(1, 17):
            for value in values[at : at + bits[length - 1]]:
                self.codes[length, code] = value
                code += 1
            at += bits[length - 1]
            if code >= 1 << length and bits[length - 1]:  # C.2: no code may be all ones, none may overflow
                raise OracleError("bad_huffman_table", 0)
            code <<= 1


class BitReader:
    """Bits of one entropy-coded segment (F.2.2.5); past its end it gives zeros and remembers that."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.byte = self.left = 0
        self.ran_out = False

    def next_byte(self) -> int | None:
        """The next data byte without its stuffing, None at a marker or at the end of the file."""
        if self.at >= len(self.data):
            return None
        byte = self.data[self.at]
        if byte != 0xFF:
            self.at += 1
            return byte
        after = self.at + 1
        while after < len(self.data) and self.data[after] == 0xFF:  # B.1.1.2: fill bytes
            after += 1
        if after < len(self.data) and self.data[after] == 0:
            self.at = after + 1
            return 0xFF
        return None

    def bit(self) -> int:
        if self.left == 0:
            byte = self.next_byte()
            self.ran_out |= byte is None
            self.byte, self.left = byte or 0, 8
        self.left -= 1
        return self.byte >> self.left & 1

    def receive(self, count: int) -> int:
        """RECEIVE of F.2.2.4: `count` bits, the first one highest."""
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit()
        return value

    def receive_extend(self, size: int) -> int:
        """RECEIVE and EXTEND of F.2.2.1: a signed value of `size` bits."""
        value = self.receive(size)
        return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1


class Decoder:
    """The decoder's state through one file: tables, predictors and the picture so far."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.picture = Picture()
        self.quantization: dict[int, list[int]] = {}
        self.huffman: dict[tuple[int, int], HuffmanTable] = {}
        self.reader = BitReader(data, 0)
        self.prediction: dict[int, int] = {}
        self.eob_run = 0
        self.restart_interval = 0

    # B.2: markers and their segments

    def decode(self) -> Picture:
        if self.data[:2] != b"\xff\xd8":
            raise OracleError("not_a_jpeg", 0)
        self.at = 2
        while (marker := self.next_marker()) is not None:
            if marker == 0xD9:
                self.picture.saw_eoi = True
                break
            if 0xD0 <= marker <= 0xD7 or marker == 0x01:  # RSTm and TEM stand alone
                continue
            if marker == 0xD8:
                raise OracleError("second_soi", self.at)
            segment = self.segment()
            if segment is None:
                if not self.picture.scans:
                    raise OracleError("cut_in_header", self.at)
                break
            if marker in (0xC0, 0xC1, 0xC2):
                self.frame_header(marker, segment)
            elif marker == 0xC4:
                self.huffman_tables(segment)
            elif marker == 0xDB:
                self.quantization_tables(segment)
            elif marker == 0xDD:
                self.restart_interval = int.from_bytes(segment[:2], "big")
            elif marker == 0xDA:
                self.scan(segment)
            elif 0xE0 <= marker <= 0xEF:
                self.application_data(marker, segment)
            elif 0xC0 <= marker <= 0xCF:
                raise OracleError("unsupported_process", self.at)
            elif marker not in (0xDC, 0xFE):
                raise OracleError("unexpected_marker", self.at)
        if not self.picture.scans:
            raise OracleError("no_scan", self.at)
        if not self.picture.saw_eoi:
            self.picture.warnings.append("no EOI")
        return self.picture

    def next_marker(self) -> int | None:
        """The next marker's second byte (B.1.1.2), skipping what is none; None at the end of the file."""
        skipped = 0
        while self.at + 1 < len(self.data):
            if self.data[self.at] == 0xFF and self.data[self.at + 1] not in (0x00, 0xFF):
                if skipped:
                    self.picture.warnings.append(f"{skipped} bytes before a marker")
                self.at += 2
                return self.data[self.at - 1]
            skipped += not (self.data[self.at] == 0xFF and self.data[self.at + 1] == 0xFF)
            self.at += 1
        return None

    def segment(self) -> bytes | None:
        """The parameters of a marker segment, None where the file ends inside; a length of 0 or 1 is taken as 2."""
        length = max(int.from_bytes(self.data[self.at : self.at + 2], "big"), 2)
        if self.at + length > len(self.data):
            return None
        if self.data[self.at : self.at + 2] in (b"\0\0", b"\0\1"):
            self.picture.warnings.append("a length of 0 or 1")
        self.at += length
        return self.data[self.at - length + 2 : self.at]

    def frame_header(self, marker: int, segment: bytes) -> None:
        """B.2.2 and the sizes of A.1.1."""
        picture = self.picture
        if picture.components:
            raise OracleError("second_frame", self.at)
        if segment[0] != 8:
            raise OracleError("unsupported_process", self.at)
        picture.process = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}[marker]
        picture.height = int.from_bytes(segment[1:3], "big")
        picture.width = int.from_bytes(segment[3:5], "big")
        if not picture.width or not picture.height:
            raise OracleError("empty_image", self.at)
        if len(segment) != 6 + 3 * segment[5] or not segment[5]:
            raise OracleError("bad_frame_header", self.at)
        for at in range(6, len(segment), 3):
            h, v = segment[at + 1] >> 4, segment[at + 1] & 15
            if not (1 <= h <= 4 and 1 <= v <= 4):
                raise OracleError("bad_sampling", self.at)
            picture.components.append(Component(segment[at], h, v, segment[at + 2]))
        picture.h_max = max(c.h for c in picture.components)
        picture.v_max = max(c.v for c in picture.components)
        for c in picture.components:
            c.block_cols = ceil_div(ceil_div(picture.width * c.h, picture.h_max), 8)
            c.block_rows = ceil_div(ceil_div(picture.height * c.v, picture.v_max), 8)
            c.blocks = [[0] * 64 for _ in range(c.block_rows * c.block_cols)]

    def quantization_tables(self, segment: bytes) -> None:
        """B.2.4.1: elements stand in zigzag order, of 8 or 16 bits."""
        at = 0
        while at < len(segment):
            width, identifier = 1 + (segment[at] >> 4 != 0), segment[at] & 15
            table = [0] * 64
            for k, freq in enumerate(ZIGZAG):
                table[freq] = int.from_bytes(segment[at + 1 + k * width : at + 1 + (k + 1) * width], "big")
            self.quantization[identifier] = table
            at += 1 + 64 * width

    def huffman_tables(self, segment: bytes) -> None:
        """B.2.4.2."""
        at = 0
        while at < len(segment):
            bits = segment[at + 1 : at + 17]
            values = segment[at + 17 : at + 17 + sum(bits)]
            if len(values) != sum(bits) or len(values) > 256:
                raise OracleError("bad_huffman_table", self.at)
            self.huffman[segment[at] >> 4, segment[at] & 15] = HuffmanTable(bits, values)
            at += 17 + len(values)

    def application_data(self, marker: int, segment: bytes) -> None:
        """APP0 of JFIF, APP1 of EXIF, APP14 of Adobe."""
        if marker == 0xE0 and segment[:5] == b"JFIF\0":
            self.picture.jfif = True
        elif marker == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
            self.picture.adobe_transform = segment[11]
        elif marker == 0xE1 and segment[:6] == b"Exif\0\0":
            self.picture.orientation = exif_orientation(segment[6:])

    # B.2.3, A.2, E.2.3 to E.2.5: scans, MCUs and restart intervals

    def scan(self, segment: bytes) -> None:
        picture = self.picture
        count = segment[0]
        if len(segment) != 4 + 2 * count or not 1 <= count <= 4:
            raise OracleError("bad_scan_header", self.at)
        chosen: list[int] = []
        tables: list[tuple[int, int]] = []
        for n in range(count):
            identifier, table = segment[1 + 2 * n], segment[2 + 2 * n]
            # Of several components with this identifier the first that this scan has not named yet.
            fitting = [i for i, c in enumerate(picture.components) if c.id == identifier and i not in chosen]
            if not fitting:
                raise OracleError("bad_scan_header", self.at)
            chosen.append(fitting[0])
            tables.append((table >> 4, table & 15))
        ss, se, approximation = segment[-3:]
        ah, al = approximation >> 4, approximation & 15
        if picture.process != "progressive":
            ss, se, ah, al = 0, 63, 0, 0
        self.latch_quantization(chosen)
        block = self.block_decoder(ss, se, ah, al)
        across, down, members = self.mcu_layout(chosen, dict(zip(chosen, tables, strict=True)))
        report = ScanReport(tuple(chosen), ss, se, ah, al, across, self.restart_interval)
        picture.scans.append(report)
        report.valid = self.mcus(across, down, members, block)
        self.at = self.reader.at

    def latch_quantization(self, chosen: list[int]) -> None:
        """B.2.4.1: a component takes the table that its identifier names when its first scan begins."""
        for component in (self.picture.components[i] for i in chosen):
            if component.quantization is None:
                if component.tq not in self.quantization:
                    raise OracleError("no_quantization_table", self.at)
                component.quantization = list(self.quantization[component.tq])

    Member = tuple[int, int, int, int, tuple[int, int]]  # component, width, height in the MCU, block columns, tables

    def mcu_layout(self, chosen: list[int], tables: dict[int, tuple[int, int]]) -> tuple[int, int, list[Member]]:
        """MCUs across, down, and what one holds: A.2.2 (one component: one block) or A.2.3 (interleaved)."""
        picture = self.picture
        if len(chosen) == 1:
            c = picture.components[chosen[0]]
            return c.block_cols, c.block_rows, [(chosen[0], 1, 1, c.block_cols, tables[chosen[0]])]
        members = [
            (i, picture.components[i].h, picture.components[i].v, picture.components[i].block_cols, tables[i]) for i in chosen
        ]
        if sum(width * height for _, width, height, _, _ in members) > 10:  # B.2.3
            raise OracleError("mcu_too_large", self.at)
        return ceil_div(picture.width, 8 * picture.h_max), ceil_div(picture.height, 8 * picture.v_max), members

    def mcus(
        self,
        across: int,
        down: int,
        members: list[Member],
        block: Callable[[list[int], int, tuple[int, int]], None],
    ) -> list[bool]:
        """Decode all MCUs of a scan; says of each whether it came."""
        interval = self.restart_interval
        valid: list[bool] = []
        self.reader = BitReader(self.data, self.at)
        self.reset_interval()
        lost_intervals = 0
        for mcu in range(across * down):
            if interval and mcu and mcu % interval == 0:
                if lost_intervals:
                    lost_intervals -= 1
                else:
                    lost_intervals = self.restart(mcu // interval - 1)
            row, col = divmod(mcu, across)
            touched = []
            if not lost_intervals and not self.reader.ran_out:
                for i, width, height, _, tables in members:
                    component = self.picture.components[i]
                    for y in range(row * height, (row + 1) * height):
                        for x in range(col * width, (col + 1) * width):
                            inside = y < component.block_rows and x < component.block_cols
                            target = component.blocks[y * component.block_cols + x] if inside else [0] * 64
                            touched.append((target, list(target)))
                            block(target, i, tables)
            came = not lost_intervals and not self.reader.ran_out
            valid.append(came)
            if not came:
                for target, before in touched:
                    target[:] = before
        return valid

    def reset_interval(self) -> None:
        """E.2.4 (and G.1.2.2 for the EOB run): each interval starts on a byte with fresh predictions."""
        self.prediction = dict.fromkeys(range(len(self.picture.components)), 0)
        self.eob_run = 0
        self.reader.left, self.reader.ran_out = 0, False

    def restart(self, last: int) -> int:
        """E.2.4 between interval `last` and the next: passes the marker and says how many intervals are lost.

        A number one to five ahead means that the intervals between were lost. One or two behind: its data came
        before, so it is passed over. No restart marker at all: nothing more comes in this scan.
        """
        while True:
            self.at = self.reader.at
            marker = self.next_marker()
            if marker is None or not 0xD0 <= marker <= 0xD7:
                self.reader.at = self.at - 2 if marker is not None else len(self.data)
                self.reader.left, self.reader.ran_out = 0, True
                return 1 << 30
            self.reader.at = self.at
            ahead = (marker - 0xD0 - last) % 8
            if ahead <= 5:
                self.reset_interval()
                return ahead
            self.picture.warnings.append("a restart marker that came before")

    # F.2.2: sequential blocks

    def block_decoder(self, ss: int, se: int, ah: int, al: int) -> Callable[[list[int], int, tuple[int, int]], None]:
        if self.picture.process != "progressive":
            return self.sequential_block
        if not ((ss == 0 and se == 0) or 1 <= ss <= se <= 63) or al > 13 or (ah and al != ah - 1):
            raise OracleError("bad_scan_header", self.at)
        if ss == 0:
            return (lambda b, i, t: self.dc_first(b, i, t, al)) if ah == 0 else (lambda b, i, t: self.dc_refine(b, al))
        if ah == 0:
            return lambda b, i, t: self.ac_first(b, t, ss, se, al)
        return lambda b, i, t: self.ac_refine(b, t, ss, se, al)

    def table(self, klass: int, identifier: int) -> HuffmanTable:
        key = klass, identifier
        if key not in self.huffman and key in STANDARD_TABLES and self.picture.process != "progressive":
            self.huffman[key] = HuffmanTable(*STANDARD_TABLES[key])
            self.picture.warnings.append("a typical table stands in for a missing one")
        if key not in self.huffman:
            raise OracleError("no_huffman_table", self.at)
        return self.huffman[key]

    def decode_symbol(self, table: HuffmanTable) -> int:
        """DECODE of F.2.2.3; no code within 16 bits: libjpeg takes a 17th and gives symbol 0."""
        code = 0
        for length in range(1, 17):
            code = code << 1 | self.reader.bit()
            if (length, code) in table.codes:
                return table.codes[length, code]
        self.reader.bit()
        self.picture.bad_codes += 1
        return 0

    def dc_difference(self, table: HuffmanTable) -> int:
        """F.2.2.1."""
        size = self.decode_symbol(table)
        if size > 15:
            raise OracleError("bad_huffman_table", self.at)
        return self.reader.receive_extend(size)

    def sequential_block(self, block: list[int], component: int, tables: tuple[int, int]) -> None:
        """F.2.2.1 for DC, F.2.2.2 for AC."""
        self.prediction[component] += self.dc_difference(self.table(0, tables[0]))
        block[:] = [0] * 64
        block[0] = self.prediction[component]
        table = self.table(1, tables[1])
        k = 1
        while k <= 63:
            run, size = divmod(self.decode_symbol(table), 16)
            if size == 0:
                if run != 15:
                    break
                k += 16
                continue
            k = k + run
            value = self.reader.receive_extend(size)
            block[min(k, 63)] = value
            k += 1

    # G.2: progressive blocks

    def dc_first(self, block: list[int], component: int, tables: tuple[int, int], al: int) -> None:
        """G.1.2.1: the difference of point-transformed values."""
        self.prediction[component] += self.dc_difference(self.table(0, tables[0]))
        block[0] = self.prediction[component] * (1 << al)

    def dc_refine(self, block: list[int], al: int) -> None:
        """G.1.2.1: one bit a block."""
        block[0] |= self.reader.bit() << al

    def ac_first(self, block: list[int], tables: tuple[int, int], ss: int, se: int, al: int) -> None:
        """G.1.2.2."""
        if self.eob_run:
            self.eob_run -= 1
            return
        table = self.table(1, tables[1])
        k = ss
        while k <= se:
            run, size = divmod(self.decode_symbol(table), 16)
            if size:
                k += run
                block[min(k, 63)] = self.reader.receive_extend(size) * (1 << al)
                k += 1
            elif run == 15:
                k += 16
            else:
                self.eob_run = (1 << run) + self.reader.receive(run) - 1
                break

    def ac_refine(self, block: list[int], tables: tuple[int, int], ss: int, se: int, al: int) -> None:
        """G.1.2.3 and Figure G.7: zeros are counted by the run, each non-zero passed takes a correction bit."""
        table = self.table(1, tables[1])
        k = ss
        while k <= se and not self.eob_run:
            run, size = divmod(self.decode_symbol(table), 16)
            new = 0
            if size:  # a size other than 1 is taken as 1
                new = (1 if self.reader.bit() else -1) * (1 << al)
            elif run != 15:
                self.eob_run = (1 << run) + self.reader.receive(run)
                break
            while k <= se:
                if block[k]:
                    self.correct(block, k, al)
                elif run == 0:
                    break
                else:
                    run -= 1
                k += 1
            if new:
                block[min(k, 63)] = new
            k += 1
        if self.eob_run:
            for rest in range(k, se + 1):
                if block[rest]:
                    self.correct(block, rest, al)
            self.eob_run -= 1

    def correct(self, block: list[int], k: int, al: int) -> None:
        """One correction bit: away from zero by 1 << al, unless that bit is set already (damaged streams only)."""
        if self.reader.bit() and not block[k] & (1 << al):
            block[k] += (1 if block[k] > 0 else -1) * (1 << al)


def exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory (TIFF 6.0), 1 where it is absent or out of range."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "little" if tiff[:2] == b"II" else "big")

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) == 0x0112 and number(entry + 2, 2) == 3:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def decode(data: bytes) -> Picture:
    """Header facts, int16 planes and quantisation tables of a JPEG file; raises OracleError where there is no image."""
    return Decoder(bytes(data)).decode()
