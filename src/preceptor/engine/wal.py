"""SQLite's write-ahead log, read frame by frame: was something lost that had been committed?

SQLite takes a log up to the first frame whose checksum fails and forgets the rest without a word: right for a tail that a
crash tore off, wrong for a disk that changed a byte in the middle. The two differ: behind a torn tail nothing was begun.
(The format: sqlite.org/fileformat2.html, section 4.)
"""

from pathlib import Path
from struct import Struct, unpack_from

_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_MAGIC = (0x377F0682, 0x377F0683)


def lost(log: Path) -> str:
    """What of the log was committed and cannot be read; empty where nothing is for certain."""
    raw = log.read_bytes() if log.exists() else b""
    if len(raw) < _HEADER.size + _FRAME.size:
        return ""
    magic, _, size, _, *salt, one, two = _HEADER.unpack_from(raw)
    if magic not in _MAGIC or size < 512 or size & (size - 1):
        return "its first bytes are not those of a log"
    ends = "<" if magic == _MAGIC[0] else ">"
    if _sums(raw[:24], ends, 0, 0) != (one, two):
        return "its first bytes do not match their checksum"
    frames = [_FRAME.unpack_from(raw, at) for at in range(_HEADER.size, len(raw) - size - _FRAME.size + 1, size + _FRAME.size)]
    good = _whole(raw, frames, size, ends, list(salt), (one, two))
    behind = [n for n, frame in enumerate(frames) if n >= good and list(frame[2:4]) == list(salt)]
    committed = [n for n in behind if frames[n][1] and n < behind[-1]]
    if not committed:
        return ""
    return f"frame {good + 1} does not match its checksum, and {len(committed)} commits or more stand behind it"


def _whole(raw: bytes, frames: list[tuple[int, ...]], size: int, ends: str, salt: list[int], sums: tuple[int, int]) -> int:
    """How many frames from the beginning are what was written."""
    at = _HEADER.size
    for n, frame in enumerate(frames):
        sums = _sums(raw[at : at + 8], ends, *sums)
        sums = _sums(raw[at + _FRAME.size : at + _FRAME.size + size], ends, *sums)
        if list(frame[2:4]) != salt or frame[4:6] != sums:
            return n
        at += _FRAME.size + size
    return len(frames)


def _sums(part: bytes, ends: str, one: int, two: int) -> tuple[int, int]:
    """SQLite's running checksum over `part`."""
    words = unpack_from(f"{ends}{len(part) // 4}I", part)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
