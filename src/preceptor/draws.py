"""A draw ranks its choices by hash(seed, place, choice): no generator, no order of completion, no luck."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
PIECE = 2047
"""Longer pieces are hashed without the interpreter's lock, and getting it back costs more than the hash."""


def digest(*parts: object) -> str:
    """Sixteen hex digits that stand for `parts`; equal parts, equal digits, on every machine."""
    whole = "\x1f".join(map(str, parts)).encode()
    hashed = hashlib.blake2b(whole[:PIECE], digest_size=8)
    for at in range(PIECE, len(whole), PIECE):
        hashed.update(whole[at : at + PIECE])
    return hashed.hexdigest()


def fraction(*parts: object) -> float:
    """A number in [0, 1) that stands for `parts`."""
    return int(digest(*parts), 16) / 2**64


def draw(
    choices: Iterable[T],
    *place: object,
    k: int = 1,
    name: Callable[[T], str] = str,
    weight: Callable[[T], float] = lambda _: 1.0,
) -> list[T]:
    """Up to `k` of `choices`, without repetition, in the order of their rank at this `place`.

    Each choice's rank depends on its own name, the place and its weight alone (Efraimidis and Spirakis 2006,
    with a hash for the random number), so a choice that is added later leaves the order of the others as it was.
    A weight of 0 is never drawn.
    """
    able = [c for c in choices if weight(c) > 0]
    if len(able) < 2:  # nothing to rank
        return able[:k]
    ranked = [(fraction(*place, name(c)) ** (1 / weight(c)), name(c), c) for c in able]
    ranked.sort(key=lambda r: (-r[0], r[1]))
    return [c for _, _, c in ranked[:k]]


def one(choices: Sequence[T], *place: object, name: Callable[[T], str] = str) -> T:
    """The first of `choices` at this place; `choices` must not be empty."""
    return draw(choices, *place, name=name)[0]


def drawn_for(choices: Mapping[str, Sequence[str]], *place: object) -> dict[str, str]:
    """One of the choices for each name, so that what should be balanced is not left to whoever writes."""
    return {name: one(among, *place, "drawn", name) for name, among in choices.items()}


def shuffled(things: Sequence[Any], *place: object) -> list[Any]:
    """`things` in an order that depends on the place (equal things keep their places among themselves)."""
    return [things[i] for i in draw(range(len(things)), *place, k=len(things))]
