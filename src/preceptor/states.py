"""What two JSON states differ in, path by path: what state checks compare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths (JSON Pointer, RFC 6901) that were added, removed or changed, with what is or was there."""

    added: Mapping[str, Any] = field(default_factory=dict)
    removed: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Before and after."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset((*self.added, *self.removed, *self.changed))

    def __str__(self) -> str:
        lines = [f"+ {path} {value!r}" for path, value in self.added.items()]
        lines += [f"- {path} {value!r}" for path, value in self.removed.items()]
        lines += [f"~ {path} {old!r} → {new!r}" for path, (old, new) in self.changed.items()]
        return "\n".join(lines) or "no difference"


def state_difference(before: Any, after: Any) -> Difference:
    """All that is not the same in two JSON values; falsy exactly where they are equal as JSON.

    Lists are compared place by place. `1` and `1.0` are the same number; `1` and `true` are not the same value.
    The path of the whole value is the empty string.
    """
    added: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    changed: dict[str, tuple[Any, Any]] = {}
    for path, sort, old, new in _differences("", before, after):
        if sort == "added":
            added[path] = new
        elif sort == "removed":
            removed[path] = old
        else:
            changed[path] = (old, new)
    return Difference(added, removed, changed)


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, str, Any, Any]]:
    left, right = _parts(before), _parts(after)
    if left is None or right is None or _sort(before) != _sort(after):
        if not _same(before, after):
            yield path, "changed", before, after
        return
    for key, old in left.items():
        if key in right:
            yield from _differences(f"{path}/{key}", old, right[key])
        else:
            yield f"{path}/{key}", "removed", old, None
    for key, new in right.items():
        if key not in left:
            yield f"{path}/{key}", "added", None, new


def _parts(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return {str(key).replace("~", "~0").replace("/", "~1"): entry for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return {str(place): entry for place, entry in enumerate(value)}
    return None


def _sort(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, Mapping):
        return "record"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list"


def _same(left: Any, right: Any) -> bool:
    return _sort(left) == _sort(right) and bool(left == right)
