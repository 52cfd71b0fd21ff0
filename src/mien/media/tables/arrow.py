"""Rows as Arrow: record batches, and an IPC stream that is appended to message by message (arro3)."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table, list_array
from arro3.io import read_ipc_stream, read_parquet, write_ipc_stream

from mien.core.errors import MienError
from mien.media.files import printable
from mien.media.tables.columns import Column, Row


class ArrowFormat:
    """Rows as Arrow: record batches, and the messages of an IPC stream that can be appended one by one."""

    def __init__(self, columns: Sequence[Column]) -> None:
        types = {"text": DataType.utf8(), "integer": DataType.int64(), "number": DataType.float64()}
        types["numbers"] = DataType.list(Field("item", DataType.float32(), nullable=True))
        self.columns, self._types = columns, types
        self.schema = Schema([Field(column.name, types[column.kind], nullable=True) for column in columns])
        empty = _ipc(Table.from_batches([], schema=self.schema))
        self._end = b"\xff\xff\xff\xff\0\0\0\0"  # end of stream, by the format's definition
        self.head = empty.removesuffix(self._end)
        """The stream's first message, which names the columns."""

    def batch(self, columns: Mapping[str, Sequence[Any]]) -> Any:
        """Of columns of plain values."""
        arrays = [self._array(column, columns[column.name]) for column in self.columns]
        return RecordBatch.from_arrays(arrays, schema=self.schema)

    def message(self, rows: Sequence[Row]) -> bytes:
        """Rows as one message of the stream."""
        columns = {column.name: [row.get(column.name) for row in rows] for column in self.columns}
        return self.message_of_batch(self.batch(columns))

    def message_of_batch(self, batch: Any) -> bytes:
        """A record batch of the same columns as one message of the stream."""
        data = _ipc(batch)
        if not data.startswith(self.head):
            raise MienError("The stored rows have columns of other types. Name another --output.")
        return data[len(self.head) :].removesuffix(self._end)

    def _array(self, column: Column, values: Sequence[Any]) -> Any:
        if column.kind == "text":
            values = [None if value is None else printable(str(value)) for value in values]
        if column.kind != "numbers":
            return Array(values, type=self._types[column.kind])
        lists = [np.asarray(() if value is None else value, np.float32).ravel() for value in values]
        offsets = np.cumsum([0, *map(len, lists)]).astype(np.int32)
        flat = np.concatenate([np.zeros(0, np.float32), *lists])
        return list_array(Array.from_numpy(offsets), Array.from_numpy(flat), type=self._types["numbers"])


def _ipc(data: Any) -> bytes:
    file = io.BytesIO()
    write_ipc_stream(data, file)
    return file.getvalue()


def batches(source: Path, *, limit: int | None = None) -> Iterator[Any]:
    """The record batches of a journal or a Parquet file, up to so many rows; a torn one at the end is left out."""
    read = 0
    try:
        for batch in read_ipc_stream(str(source)) if source.suffix == ".arrows" else read_parquet(str(source)):
            rest = batch.num_rows if limit is None else min(batch.num_rows, limit - read)
            if rest > 0:
                yield batch.slice(0, rest) if rest < batch.num_rows else batch
            read += rest
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException:  # arro3's errors are none of Exception's public ones: the message that a kill cut off
        return


@contextlib.contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Errors and panics of arro3 (a panic is no Exception) as one line."""
    try:
        yield
    except (MienError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise MienError(f"Cannot write {path}: {' '.join(str(error).split())[:200]}.") from error
