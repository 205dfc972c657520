"""Books for a service of records: values as its document suggests them, few of anything that is counted, dates that agree."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.draws import draw, fraction, one
from preceptor.skills.tool_use.library import snake
from preceptor.skills.tool_use.records import Part, Service, singular

Names = Sequence[tuple[str, str]]
"""Names that entries could bear, each with the choice that it falls under (empty where it is not told)."""

STEPS = (0, 13, 14, 57, 101, 260, 262, 311)
"""From one id to the others of its collection: some of them are neighbours, as ids in life are."""
PERSON = r"member|owner|person|people|customer|keeper|user|patient|guest|author|employee|student|tenant|client|contact|by$"
NAME = r"^(name|title|label)$"
REMARK = r"words|note|remark|reason|comment|description|message|summary|text"
SORT = r"categor|type|kind|sort|species|class|genre"
DONE = r"return|closed|finish|complet|cancel|paid|deliver|checked_out|ended|resolved"
AHEAD = r"until|due|expir|valid|deadline|next|planned|ends?$|end_"
DUE = r"due|deadline|until|expir"
PENALTY = r"fine|penalt|overdue|late_fee|arrears"
QUEUE = r"wait|queue|in line"
QUEUES = r"reserv|hold|request|wait|queue|booking"
COUNTED = r"how many|number of|count|quantity|copies|waiting|stock|seats|guests|places|items"
RANGES: tuple[tuple[str, float, float, float], ...] = (
    (COUNTED, 0, 6, 1), (r"year|built|founded|published", 1961, 2024, 1), (r"percent|humidity|charge_level", 5, 95, 1),
    (r"rating|stars|grade|priority", 1, 5, 1), (r"\bage\b", 4, 79, 1), (r"minutes|duration", 5, 90, 5), (r"hours", 1, 12, 1),
    (r"days", 1, 14, 1), (r"price|cost|fee|fine|deposit|amount|balance|total|sum|salary|rent", 4, 85, 0.25),
    (r"weight|mass|kg", 1, 40, 0.1), (r"length|width|height|depth|distance|size|area", 2, 120, 0.5),
    (r"temperature", 2, 28, 0.5),
)  # fmt: skip
"""What a number is about, and from where to where it is drawn in what steps, if the document gives no bounds."""
UNKNOWN = {"integer": (0.0, 9.0, 1.0), "number": (1.0, 40.0, 0.1)}


def books_of(service: Service, words: Mapping[str, Sequence[str]], names: Names = (), *place: object) -> dict[str, Any]:
    """The start state: the document's own rows, else records drawn from its examples, choices and bounds.

    `names` go to what has a name, else names are put together from the document's words. Afterwards entries that speak
    of each other agree: what is out on loan has an open loan, a fine has a day that is past.
    """
    day = datetime.date(2026, 1, 1) + datetime.timedelta(days=int(270 * fraction(*place, "today")))
    state: dict[str, Any] = {"today": day.isoformat()}
    for collection in service.fields:
        state[collection] = {k: dict(r) for k, r in service.rows.get(collection, {}).items()} or {
            k: {} for k in keys_of(service, collection, *place)
        }
    made = [c for c in service.fields if not service.rows.get(c)]
    for collection in made:
        for n, (key, record) in enumerate(state[collection].items()):
            record["id"] = key
            for part in sorted(service.fields[collection], key=lambda p: not p.choices):
                value = made_up(part, n, record, state, words, names, day, collection, *place)
                if value is not None:
                    record[part.name] = value
    agree(service, state, made, day)
    for collection in made:
        order = ["id", *(p.name for p in service.fields[collection])]
        for key, record in state[collection].items():
            state[collection][key] = {**{name: record[name] for name in order if name in record}, "note": ""}
    return state


def named(service: Service) -> str:
    """The first collection whose entries have a name that is no person's, in words; empty where there is none."""
    for collection, parts in service.fields.items():
        if not service.rows.get(collection) and any(
            re.search(NAME, snake(p.name)) and not re.search(PERSON, f"{about(p)} {collection}") for p in parts
        ):
            return collection.replace("_", " ")
    return ""


def sorts_of(service: Service) -> list[str]:
    """What sorts of entries there are in the collection whose entries have names: `woodwork`, `garden`."""
    parts = service.fields.get(named(service).replace(" ", "_"), ())
    return next((list(p.choices) for p in parts if p.choices and re.search(SORT, snake(p.name))), [])


def names_from(given: Sequence[Mapping[str, Any]], sorts: Sequence[str]) -> list[tuple[str, str]]:
    """Names with what each falls under, from what the model wrote; left out are figures, repetitions and unknown sorts."""
    made: list[tuple[str, str]] = []
    for entry in given:
        name, under = " ".join(str(entry["name"]).split()), str(entry.get("sort") or "")
        plain = re.fullmatch(r"[^\W\d_][^\d_,;:.!?]{2,39}", name) and len(name.split()) <= 4
        alone = not any(name.lower() in n.lower() or n.lower() in name.lower() for n, _ in made)
        if plain and alone and (under in sorts or not sorts):
            made.append((name, under))
    return made


def keys_of(service: Service, collection: str, *place: object) -> list[str]:
    """Ids in the form that the document shows, else a letter and four digits."""
    shown = [p for o in service.operations if o.collection == collection for p in o.parts if p.name == o.key]
    told = " ".join((*(f"{p.example} {p.about}" for p in shown), service.ids.get(collection, "")))
    found = re.search(r"\b([A-Z]{1,3}-?)(\d{3,6})\b", told)
    prefix, width = (found[1], len(found[2])) if found else (collection[:1].upper() + "-", 4)
    first = int(10 ** (width - 1) * (1 + 7 * fraction(*place, collection)))
    return [f"{prefix}{(first + step) % 10**width:0{width}d}" for step in STEPS]


def made_up(
    part: Part, n: int, record: Mapping[str, Any], state: Mapping[str, Any], words: Mapping[str, Sequence[str]], names: Names,
    day: datetime.date, collection: str, *place: object,
) -> Any:  # fmt: skip
    """A value for one field of the n-th record; None where it is one that only some records have, and this is none of them."""
    where = (*place, collection, part.name)
    if part.refers in state:
        ids = draw(list(state[part.refers]), *where, k=len(state[part.refers]))
        return ids[n % len(ids)]
    if part.choices:
        return draw(part.choices, *where, k=len(part.choices))[n % len(part.choices)]
    if part.kind == "boolean":
        return fraction(*where, n) < 0.34
    if part.kind in ("integer", "number"):
        return drawn_number(part, fraction(*where, n))
    if part.kind == "date":
        return drawn_day(part, day, fraction(*where, n))
    if part.kind == "list":
        return draw(words["extra"], *where, n, k=1 + n % 3)
    fit = fitting(names, record, list(state[collection].values()))
    return drawn_text(part, n, record, words, fit, collection, where)


def about(part: Part) -> str:
    """What a field's name and description say, for the patterns."""
    return f"{snake(part.name)} {part.about.lower()}"


def range_of(part: Part) -> tuple[float, float, float]:
    """From where to where a number is drawn, and in what steps: bounds first, then the example, then what it is about."""
    least, most, step = next((r[1:] for r in RANGES if re.search(r[0], about(part))), UNKNOWN[part.kind])
    example = float(part.example) if re.fullmatch(r"-?\d+(\.\d+)?", part.example) else None
    if example:
        least, most = sorted((0.4 * example, 2.2 * example))
    given = [v for v in (part.least, part.most, example) if v is not None]
    if given and part.kind == "number":
        step = next((s for s in (0.5, 0.25, 0.1, 0.05) if all(abs(v / s - round(v / s)) < 1e-9 for v in given)), 0.01)
    least = least if part.least is None else max(least, part.least) if part.most is None or least < part.most else part.least
    most = max(most, least + 6 * step) if part.most is None else part.most
    if re.search(COUNTED, about(part)):
        most = min(most, least + 6)
    return min(least, most), most, 1.0 if part.kind == "integer" and step < 1 else step


def drawn_number(part: Part, share: float) -> int | float:
    least, most, step = range_of(part)
    steps = int((most - least) / step)
    # Of what is counted there is mostly little.
    share = share * share if re.search(COUNTED, about(part)) else share
    value = least + step * int(share * (steps + 1))
    return round(value) if part.kind == "integer" else round(min(value, most), 2)


def drawn_day(part: Part, day: datetime.date, share: float) -> str | None:
    """Days of what is over lie behind, deadlines mostly ahead. Only half of the records have what need not be over yet."""
    what = about(part)
    if re.search(DONE, what):
        if not part.required and share < 0.5:
            return None
        days = -1 - int(40 * share)
    elif re.search(AHEAD, what):
        days = int(34 * share) - 8
    else:
        days = -5 - int(200 * share)
    return (day + datetime.timedelta(days=days)).isoformat()


def drawn_text(
    part: Part, n: int, record: Mapping[str, Any], words: Mapping[str, Sequence[str]], names: Sequence[str],
    collection: str, where: tuple[object, ...],
) -> str:  # fmt: skip
    name = snake(part.name)
    if re.search(PERSON, f"{about(part)} {collection}" if re.search(NAME, name) else about(part)):
        return draw(words["person"], *where, k=len(words["person"]))[n % len(words["person"])]
    if re.search(NAME, name):
        return name_of(part, n, record, words, names, collection, where)
    if "mail" in name:
        return f"{draw(words['person'], *where, k=8)[n].split()[-1].lower()}@example.org"
    if "phone" in name:
        return f"020 7946 0{100 + int(800 * fraction(*where, n))}"
    if re.search(REMARK, name):
        return one(words["phrase"], *where, n)
    if re.search(r"\d", part.example):
        return re.sub(r"\d", lambda m: str(int(10 * fraction(*where, n, m.start()))), part.example)
    return f"{name.replace('_', ' ')} {one(words['mark'], *where, n)}"


def name_of(
    part: Part, n: int, record: Mapping[str, Any], words: Mapping[str, Sequence[str]], names: Sequence[str],
    collection: str, where: tuple[object, ...],
) -> str:  # fmt: skip
    """A given name that fits, else one of the document's words and a maker's name: `Harrow garden tool`."""
    if names:
        return names[0]
    marks = draw(words["mark"], *where, k=len(words["mark"]))
    sort = next((str(v).replace("_", " ") for k, v in record.items() if re.search(SORT, k)), "")
    return " ".join(filter(None, (marks[n % len(marks)], singular(sort), singular(collection).replace("_", " "))))


def fitting(names: Names, record: Mapping[str, Any], taken: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that no other record bears and that fall under what this one is."""
    free = [(name, under) for name, under in names if not any(name in r.values() for r in taken)]
    return [name for name, under in free if under in record.values()] or [name for name, under in free if not under]


# ── entries that speak of each other ─────────────────────────────────────────────────────────────────────────────


def agree(service: Service, state: dict[str, Any], made: Sequence[str], day: datetime.date) -> None:
    """What points to a record has it as its status says, deadlines stand near the end, fines only where something is late."""
    for collection in made:
        dates = [p for p in service.fields[collection] if p.kind == "date"]
        due = next((p.name for p in dates if re.search(DUE, about(p))), "")
        done = next((p.name for p in dates if re.search(DONE, about(p)) and p.name != due), "")
        for part in service.fields[collection]:
            if part.refers in made:
                _point(service, state, collection, part, done, day)
        for n, record in enumerate(state[collection].values()):
            if due and record.get(done):
                ended = datetime.date.fromisoformat(record[done])
                record[due] = (ended + datetime.timedelta(days=(9, 2, -3, 5)[n % 4])).isoformat()
            late = due and record.get(due, "9") < (record.get(done) or day.isoformat())
            for part in service.fields[collection] if due and not late else ():
                if part.kind in ("integer", "number") and re.search(PENALTY, about(part)):
                    record[part.name] = 0
    for collection in made:
        _queues(service, state, collection)


def statuses(service: Service, collection: str, pointing: str) -> tuple[str, str]:
    """The field and the choice of `collection` that are named after the entries pointing to it: state, on_loan."""
    stem = singular(pointing)[:5]
    return next(((p.name, c) for p in service.fields[collection] for c in p.choices if stem in c), ("", ""))


def _point(service: Service, state: dict[str, Any], collection: str, pointing: Part, done: str, day: datetime.date) -> None:
    """Each record whose status says so has one open entry; the other entries are over, or stand in line for one like it."""
    name, status = statuses(service, pointing.refers, collection)
    if not status:
        return
    others = {statuses(service, pointing.refers, c) for c in service.fields} - {("", "")}
    held = state[pointing.refers]
    here = [key for key, record in held.items() if record[name] == status]
    lines = [key for key, record in held.items() if any(record[field] == choice for field, choice in others)]
    for n, record in enumerate(state[collection].values()):
        if n < len(here):
            record[pointing.name] = here[n]
            record.pop(done, None)
        elif done and not record.get(done):
            record[done] = (day - datetime.timedelta(days=3 + 5 * n)).isoformat()
        elif not done and lines:
            record[pointing.name] = lines[n % len(lines)]


def _queues(service: Service, state: dict[str, Any], collection: str) -> None:
    """How many wait for a record is how many entries stand in line for it."""
    pointing = [
        (name, p.name)
        for name, parts in service.fields.items()
        for p in parts
        if p.refers == collection and re.search(QUEUES, name)
    ]
    for part in service.fields[collection] if pointing else ():
        if part.kind == "integer" and re.search(QUEUE, about(part)):
            for key, record in state[collection].items():
                record[part.name] = sum(r.get(field) == key for name, field in pointing for r in state[name].values())
