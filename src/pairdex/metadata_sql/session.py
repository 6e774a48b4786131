"""Run a SELECT in a separate process with a memory limit set by the operating system.

DuckDB counts only part of the memory that functions and results use. The process receives the
collection's folder, opens it, and sends back the rows. It exits when its parent exits.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pairdex import errors
from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.metadata_sql.statement import (
    DEFAULT_MEMORY,
    MAX_SQL_CHARS,
    TABLE,
    answering,
    too_much_memory,
)
from pairdex.progress import Progress
from pairdex.search import Finder, HasFinder
from pairdex.store.sharded import open_store
from pairdex.work.answers import own_output
from pairdex.work.limits import limit_memory
from pairdex.work.sizes import ByteSize, parse_size

__all__ = ["DEFAULT_MEMORY", "MAX_SQL_CHARS", "TABLE", "selecting", "serve", "sql"]

_HEAD = struct.Struct("<cQ")
_ROWS, _PROGRESS, _ERROR, _END = b"r", b"p", b"e", b"z"
_OVERHEAD_BYTES = 128 << 20  # for threads, rows in transit, and the libraries


@checked
def sql(collection: StrPath, statement: str, *, memory: ByteSize = DEFAULT_MEMORY) -> pa.Table:
    """Run one SELECT over a collection's metadata, read only.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one. The model of an opened one is not loaded
        again.
    statement
        DuckDB's SQL. The table is `pairs`: `id`, `part`, `row` and all other columns.
        `nearest('a red car', 100)` is a table of the rows nearest to a text, with `distance`;
        `distance(id, 'a red car')` is a row's distance.
    memory
        Memory limit of the statement: `2GB`, or bytes.

    Returns
    -------
    pyarrow.Table
        All rows; `pairdex.metadata_sql.session.selecting` yields them batch by batch.

    Raises
    ------
    InvalidArgument
        The statement is not a single SELECT, or it fails.
    """
    with selecting(collection, statement, memory=memory) as rows:
        return rows.read_all()


@contextmanager
def selecting(
    collection: StrPath | HasFinder,
    sql: str,
    *,
    memory: ByteSize = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Run a SELECT over the table `pairs` and yield its rows batch by batch.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    sql
        One SELECT of DuckDB. `pairs` has the columns `id`, `part`, `row` and all others of the
        collection; `nearest(text, k)` is a table of the nearest rows, `distance(id, text)` a number.
    memory
        Memory limit of the statement: `2GB`, or bytes. The program and the model do not count.
    progress
        Called while rows of `pairs` are read.

    Raises
    ------
    InvalidArgument
        The statement is not a single SELECT, names an unknown column or function, fails, or exceeds
        its memory limit.
    PairdexError
        A search in the statement, or reading the collection, fails.
    """
    memory_bytes = parse_size(memory)
    finder = _finder(collection)
    if any("\ud800" <= character <= "\udfff" for character in sql):
        raise InvalidArgument("the statement holds bytes that are not text", field="sql")
    process = _started()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with suppress(BrokenPipeError):  # the code below reads the answer or notices its absence
            process.stdin.write(json.dumps(_question(finder, sql, memory_bytes)).encode() + b"\n")
            process.stdin.flush()
        source = _Received(process.stdout, progress)
        with pa.ipc.open_stream(pa.PythonFile(source, "r")) as rows:
            yield rows
    except _Ended:
        raise too_much_memory() from None
    finally:
        process.kill()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def serve() -> None:
    """Run the statement read from standard input; the main function of the process."""
    question = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_leader, daemon=True).start()
    sink = own_output()
    try:
        _answer(sink, question)
        _send(sink, _END, b"")
    except PairdexError as error:
        _send_error(sink, error)
    except MemoryError:
        _send_error(sink, too_much_memory())


def _started() -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[2])
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pairdex.metadata_sql import session"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{program}; session.serve()", root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Arrow's default allocator reserves more at once than the limit allows.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        start_new_session=True,  # only the parent handles Ctrl-C
    )


def _finder(collection: StrPath | HasFinder) -> Finder:
    if isinstance(collection, HasFinder):
        return collection.finder
    return Finder(open_store(Path(collection)))


def _question(finder: Finder, sql: str, memory_bytes: int) -> dict[str, Any]:
    return {
        "path": str(finder.store.path),
        "model": None if finder.model_source is None else os.fspath(finder.model_source),
        "use_codes": finder.use_codes,
        "sql": sql,
        "memory": memory_bytes,
    }


def _answer(sink: IO[bytes], question: dict[str, Any]) -> None:
    store = open_store(Path(question["path"]))
    finder = Finder(store, model=question["model"], use_codes=question["use_codes"])

    def limit(count: int) -> None:
        limit_memory(count + _OVERHEAD_BYTES, "data")

    with (
        answering(
            finder,
            question["sql"],
            memory_bytes=question["memory"],
            limit=limit,
            progress=_reporting(sink),
        ) as rows,
        pa.ipc.new_stream(pa.PythonFile(_Sent(sink), "w"), rows.schema) as stream,
    ):
        for batch in rows:
            stream.write_batch(batch)


def _reporting(sink: IO[bytes]) -> Progress:
    def report(step: str, done: int, total: int) -> None:
        _send(sink, _PROGRESS, json.dumps([step, done, total]).encode())

    return report


def _end_with_the_leader() -> None:
    """Wait for the end of standard input: the parent has exited or has cancelled."""
    sys.stdin.buffer.read()
    os._exit(1)


_sending = threading.Lock()  # DuckDB reads `pairs` and reports progress in a separate thread


def _send(sink: IO[bytes], kind: bytes, data: bytes) -> None:
    with _sending:
        sink.write(_HEAD.pack(kind, len(data)))
        sink.write(data)
        sink.flush()


def _send_error(sink: IO[bytes], error: PairdexError) -> None:
    said = {
        "kind": type(error).__name__,
        "message": str(error),
        "field": getattr(error, "field", None),
    }
    _send(sink, _ERROR, json.dumps(said).encode())


class _Sent(io.RawIOBase):
    """A file that sends its content as it is written."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        piece = bytes(data)
        _send(self._sink, _ROWS, piece)
        return len(piece)


class _Ended(Exception):
    """The process exited before it sent its whole answer."""


class _Received(io.RawIOBase):
    """A file of the process's output. It raises errors and forwards progress from the process."""

    def __init__(self, source: IO[bytes], progress: Progress | None) -> None:
        self._source, self._progress = source, progress
        self._piece = memoryview(b"")
        self._at_end = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        found = bytearray()
        while not self._at_end and (size < 0 or len(found) < size):
            if not self._piece:
                self._next()
                continue
            count = len(self._piece) if size < 0 else size - len(found)
            found += self._piece[:count]
            self._piece = self._piece[count:]
        return bytes(found)

    def _next(self) -> None:
        kind, length = _HEAD.unpack(self._exactly(_HEAD.size))
        data = self._exactly(length)
        if kind == _ROWS:
            self._piece = memoryview(data)
        elif kind == _PROGRESS:
            if self._progress:
                self._progress(*json.loads(data))
        elif kind == _ERROR:
            raise _error_of(json.loads(data))
        else:
            self._at_end = True

    def _exactly(self, length: int) -> bytes:
        data = self._source.read(length)
        if len(data) < length:
            raise _Ended
        return data


def _error_of(said: dict[str, Any]) -> PairdexError:
    kind: Callable[..., PairdexError] = getattr(errors, said["kind"])
    if kind is InvalidArgument:
        return InvalidArgument(said["message"], field=said["field"])
    return kind(said["message"])
