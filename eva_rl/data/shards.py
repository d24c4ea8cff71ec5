"""Tables of arrays in Parquet files that any Arrow reader opens: one file is one shard."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError, damage_named
from eva_rl.data.plain_tables import refuse_extension_types
from eva_rl.data.storage import read_bytes, write_bytes

SHAPES = b"eva_rl_shapes"
"""Key of the schema's metadata: shape of one row of every array column, as JSON."""


def write_shard(location: str, columns: Mapping[str, NDArray[Any]]) -> int:
    """Writes a shard; arrays become lists of fixed length, compressed without loss.

    Args:
        location: local path or URI of the new file.
        columns: first axis is the row; text, bytes, numbers, or arrays of numbers.

    Returns:
        Size of the file, bytes.
    """
    shapes = {name: values.shape[1:] for name, values in columns.items() if values.ndim > 1}
    table = pa.table({name: _as_arrow(values) for name, values in columns.items()})
    stream = io.BytesIO()
    # Text embeddings are mostly zeros behind their last token: compressed they take a tenth.
    pq.write_table(
        table.replace_schema_metadata({SHAPES: json.dumps(shapes).encode()}), stream, compression="zstd"
    )
    write_bytes(location, stream.getvalue())
    return stream.tell()


def read_shard(location: str, *, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Reads a shard back; arrays are views of Arrow's memory, not to be written to.

    Args:
        location: of the file.
        columns: only these; None for all.

    Raises:
        DamagedEpisodeError: the file is missing or damaged, or lacks a column.
    """
    with damage_named(location, "shard not readable"):
        table = pq.read_table(
            io.BytesIO(read_bytes(location)), page_checksum_verification=True, use_threads=False
        )
        refuse_extension_types(table.schema, location)
        shapes = json.loads((table.schema.metadata or {}).get(SHAPES, b"{}"))
    missing = sorted(set(columns or ()) - set(table.column_names))
    if missing:
        raise DamagedEpisodeError(location, f"shard has no {', '.join(missing)}")
    return {name: _as_numpy(table[name], shapes.get(name)) for name in columns or table.column_names}


def _as_arrow(values: NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values.tolist() if values.dtype.kind in "OUS" else values)
    flat = np.ascontiguousarray(values).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), values[0].size)


def _as_numpy(column: pa.ChunkedArray, shape: Sequence[int] | None) -> NDArray[Any]:
    array = column.combine_chunks()
    if shape is None:
        return array.to_numpy(zero_copy_only=False)
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), *shape)
