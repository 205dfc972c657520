"""The service behind a library made of records: its text goes into the sandbox, followed by one function per operation."""

from typing import Any


class ApiError(Exception):
    """Wrong use, told to the caller. The sandbox has its own, which replaces this line's meaning for whoever runs it."""


def _record(state: dict[str, Any], collection: str, key: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = state[collection].get(str(key))
    if found is None:
        raise ApiError(f"no entry {key!r} in {collection}; look it up first")
    return found


def _get(state: dict[str, Any], collection: str, key: Any) -> dict[str, Any]:
    return dict(_record(state, collection, key))


def _find(state: dict[str, Any], collection: str, filters: dict[str, Any], words: str | None, limit: int | None) -> list[Any]:
    kept = []
    for record in state[collection].values():
        text = " ".join(str(value) for value in record.values()).lower()
        fits = all(str(record.get(name)).lower() == str(value).lower() for name, value in filters.items() if value is not None)
        if fits and all(word in text for word in (words or "").lower().split()):
            kept.append({name: value for name, value in record.items() if name != "note"})
    return kept[: limit or 20]


def _check_references(state: dict[str, Any], references: dict[str, str], given: dict[str, Any]) -> None:
    for name, collection in references.items():
        if given.get(name) is not None:
            _record(state, collection, given[name])


def _create(state: dict[str, Any], collection: str, references: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    _check_references(state, references, given)
    last = list(state[collection])[-1]
    digits = last[len(last.rstrip("0123456789")) :]
    number, taken = int(digits or 0) + 1, state[collection]
    while f"{last[: len(last) - len(digits)]}{number:0{len(digits)}d}" in taken:
        number += 1
    key = f"{last[: len(last) - len(digits)]}{number:0{len(digits)}d}"
    state[collection][key] = {"id": key, **{name: value for name, value in given.items() if value is not None}}
    return dict(state[collection][key])


def _update(
    state: dict[str, Any], collection: str, key: Any, references: dict[str, str], given: dict[str, Any]
) -> dict[str, Any]:
    record = _record(state, collection, key)
    _check_references(state, references, given)
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise ApiError("nothing to change was given")
    if all(record.get(name) == value for name, value in changes.items()):
        raise ApiError(f"entry {key} is like that already")
    record.update(changes)
    return dict(record)


def _act(state: dict[str, Any], collection: str, key: Any, action: str, given: dict[str, Any]) -> dict[str, Any]:
    record = _record(state, collection, key)
    done = {name: value for name, value in given.items() if value is not None}
    if record.get(action) == (done or True):
        raise ApiError(f"{action} has been done for {key} already")
    record[action] = done or True
    return {"id": record["id"], action: record[action]}


def _remove(state: dict[str, Any], collection: str, key: Any) -> dict[str, Any]:
    record = _record(state, collection, key)
    del state[collection][str(key)]
    return {"id": record["id"], "removed": True}
