"""Rows into files: JSONL always, Parquet where pyarrow is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from preceptor.errors import MissingExtra
from preceptor.export.rows import JSON_COLUMNS
from preceptor.files import staged


def write_jsonl(rows: Sequence[dict[str, Any]], file: Path) -> Path:
    """One JSON object a line, on the disk."""
    return staged(file, b"".join(orjson.dumps(row) + b"\n" for row in rows))


def write_parquet(rows: Sequence[dict[str, Any]], file: Path) -> Path:
    """Parquet that `datasets.load_dataset` reads back equal to the rows. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow: pip install 'preceptor[parquet]' (JSONL is written without)") from None
    if not rows:
        return write_jsonl(rows, file.with_suffix(".jsonl"))
    columns, features, fields = [], {}, []
    for name in rows[0]:
        values = [row[name] for row in rows]
        column, feature = _column(pa, name, values)
        columns.append(column)
        features[name] = feature
        fields.append(pa.field(name, column.type))
    note = orjson.dumps({"info": {"features": features}})
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata={"huggingface": note}))
    return staged(file, lambda aside: parquet.write_table(table, aside, compression="zstd"))


def _column(pa: Any, name: str, values: list[Any]) -> tuple[Any, dict[str, Any]]:
    if name in JSON_COLUMNS:
        texts = [[orjson.dumps(entry).decode() for entry in value] for value in values]
        stored = pa.array(texts, type=pa.list_(pa.string())).cast(pa.list_(pa.json_(pa.string())))
        return stored, {"feature": {"_type": "Json"}, "_type": "List"}
    if isinstance(values[0], list):
        return pa.array(values, type=pa.list_(pa.string())), {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    if isinstance(values[0], int):
        return pa.array(values, type=pa.int64()), {"dtype": "int64", "_type": "Value"}
    return pa.array([str(v) for v in values], type=pa.string()), {"dtype": "string", "_type": "Value"}
