"""Tables that hold nothing but numbers, text and bytes."""

import pyarrow as pa

from eva_rl.data.damage import DamagedEpisodeError


def refuse_extension_types(schema: pa.Schema, location: str) -> None:
    """Refuses columns of extension types, at any depth.

    Ray Data registers one whose cells are pickled Python objects: reading such a column out of somebody's
    Parquet file would run whatever code its author put there.

    Args:
        schema: of a table that was read, or is to be.
        location: the file, to be named.

    Raises:
        DamagedEpisodeError: names the column.
    """
    for field in schema:
        if _holds_extension(field.type):
            raise DamagedEpisodeError(
                location,
                f"column {field.name} is of type {field.type}; only numbers, text and bytes are read, as an "
                "extension type may run code",
            )


def _holds_extension(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return True
    if pa.types.is_dictionary(kind):
        return _holds_extension(kind.value_type)
    return any(_holds_extension(kind.field(number).type) for number in range(kind.num_fields))
