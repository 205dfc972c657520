"""A line chart as PNG from the standard library alone: axes, ticks with figures, lines."""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

Colour = tuple[int, int, int]
GLYPHS = {
    sign: [f"{int(row):03b}" for row in rows]
    for sign, rows in {
        "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71222",
        "8": "75757", "9": "75717", ".": "00002",
    }.items()
}  # fmt: skip
"""Three by five dots a sign, a row a digit."""
MARGIN = 44


class Picture:
    """Pixels, white at first; `axes` sets what a point's place means."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = bytearray(b"\xff" * (width * height * 3))
        self._across, self._up = 1.0, 1.0

    def dot(self, x: int, y: int, colour: Colour) -> None:
        if 0 <= x < self.width and 0 <= y < self.height:
            at = (y * self.width + x) * 3
            self._pixels[at : at + 3] = bytes(colour)

    def axes(self, steps: int, top: float) -> None:
        """Axes from 0 to `steps` and from 0 to `top`, with four ticks each."""
        self._across, self._up = max(steps - 1, 1), top or 1.0
        for x in range(MARGIN, self.width - 12):
            self.dot(x, self.height - MARGIN, (60, 60, 60))
        for y in range(12, self.height - MARGIN):
            self.dot(MARGIN, y, (60, 60, 60))
        for n in range(5):
            x, _ = self.place(self._across * n / 4, 0)
            self.text(str(round(1 + self._across * n / 4)), x - 6, self.height - MARGIN + 8)
            _, y = self.place(0, self._up * n / 4)
            self.text(f"{self._up * n / 4:.2f}", 6, y - 5)
            for x in range(MARGIN, self.width - 12, 4):
                self.dot(x, y, (215, 215, 220))

    def place(self, step: float, value: float) -> tuple[int, int]:
        """The pixel of a point."""
        across = MARGIN + (self.width - MARGIN - 16) * step / self._across
        up = self.height - MARGIN - (self.height - MARGIN - 16) * min(value / self._up, 1.0)
        return round(across), round(up)

    def line(self, values: Sequence[float], colour: Colour) -> None:
        """The values, a step apart, joined."""
        points = [self.place(step, value) for step, value in enumerate(values)]
        for (x0, y0), (x1, y1) in pairwise(points):
            far = max(abs(x1 - x0), abs(y1 - y0), 1)
            for n in range(far + 1):
                x, y = round(x0 + (x1 - x0) * n / far), round(y0 + (y1 - y0) * n / far)
                self.dot(x, y, colour)
                self.dot(x, y + 1, colour)

    def text(self, figures: str, x: int, y: int) -> None:
        """Figures and points, ten pixels high."""
        for place, sign in enumerate(figures):
            for row, bits in enumerate(GLYPHS.get(sign, ())):
                for column, bit in enumerate(bits):
                    if bit == "1":
                        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
                            self.dot(x + place * 8 + column * 2 + dx, y + row * 2 + dy, (60, 60, 60))

    def write(self, file: Path) -> None:
        """The picture as a PNG file."""
        width = self.width * 3
        lines = b"".join(b"\0" + bytes(self._pixels[n * width : (n + 1) * width]) for n in range(self.height))
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        parts = [(b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts)))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, body = part
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
