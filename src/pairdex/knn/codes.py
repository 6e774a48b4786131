"""Compact codes of all rows; a scan of them rules out nearly all rows by a proven bound.

A row is normalised and rotated; for inner products, all rows are divided by one norm instead. Two
coordinates stay floats, the others become 8-bit numbers, stored with the norm of the rounding error. The
bound and its proof: docs/certified.md. The layout of the file: docs/decisions/codes-layout.md.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import DamagedFile, Mismatch, MissingFile, UnsupportedFormat
from pairdex.files import atomic, checksums, foreign_json
from pairdex.files.boundary import reading
from pairdex.files.typed_json import typed
from pairdex.knn.code_basis import fit_basis, orthogonality_error, sample_rows
from pairdex.knn.distance import Metric
from pairdex.progress import StepProgress
from pairdex.wording import counted

__all__ = [
    "AnyCodes",
    "Codes",
    "CodesOfShards",
    "build_codes",
    "code_rows",
    "open_codes",
    "verify_codes",
]

MAGIC = b"PDXCODES"
VERSION = 1
_PREFIX = struct.Struct("<8sII32s")  # magic, version, bytes of the JSON after it, its checksum
_HEADER_BYTES = 4096  # a page, so that the sections are aligned for memory maps
_CHUNK_ROWS = 16_384  # rows coded at once: 16 MB at dim 512; a multiple of the 32 rows of a group
_GROUP_ROWS = 32
# Added to every bound for rounding in float32 arithmetic (docs/certified.md, section 5).
_ARITHMETIC_SLACK = 1e-5

Blocks = Sequence[NDArray[np.float16]]


@dataclass(frozen=True)
class _Header:
    """The header of a file; `coordinate_error` and the checksums are as `docs/formats.md` says."""

    rows: int
    dim: int
    source: str
    coordinate_error: float
    checksums: dict[str, str]
    row_norm: float = 0.0


@dataclass(frozen=True)
class Codes:
    """The opened codes of a collection's rows.

    Attributes
    ----------
    rows, dim
        Number and dimension of the coded vectors.
    source
        The name of exactly these vectors, as given to `build_codes`.
    basis
        (dim, dim) float64: the direction of each coordinate, one in each row.
    slack
        Added to every bound for rounding, as a cosine.
    head, rest
        The two planes, uint8, memory maps.
    row_norm
        What all rows were divided by, a power of two and at least every norm; 0 if each was divided by its own
        norm, for cosines.
    """

    rows: int
    dim: int
    source: str
    basis: NDArray[np.float64]
    slack: float
    head: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    row_norm: float = 0.0

    @property
    def metric(self) -> Metric:
        """The metric of the searches that these codes are for."""
        return "ip" if self.row_norm else "cosine"

    def coordinates(self, queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Coordinates of the normalised queries, (n, dim) float64."""
        wide = queries.astype(np.float64)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        return wide @ self.basis.T

    def first(self, rows: int) -> Codes:
        """Return the codes of the first rows, a multiple of 32, or of all rows."""
        if rows >= self.rows:
            return self
        _, head_bytes, rest_bytes = _section_bytes(rows, self.dim)
        return replace(self, rows=rows, head=self.head[:head_bytes], rest=self.rest[:rest_bytes])


@dataclass(frozen=True)
class CodesOfShards:
    """The codes of consecutive shards of rows: the rows of each, and its codes or None if it has none."""

    shards: tuple[tuple[int, Codes | None], ...]
    dim: int

    @property
    def rows(self) -> int:
        """The number of rows of all shards."""
        return sum(rows for rows, _ in self.shards)


AnyCodes = Codes | CodesOfShards
"""The codes of all rows together, or shard by shard."""


def code_rows(rows: NDArray[np.float16], *, like: Blocks = (), threads: int = 1) -> Codes:
    """Return the codes of rows (n, dim) in memory; `like` represents text queries."""
    dim = rows.shape[1]
    basis = np.zeros((dim, (dim + 15) // 16 * 16), np.float32)
    basis[:, :dim] = fit_basis(sample_rows([rows]), sample_rows(like))
    _, head_bytes, rest_bytes = _section_bytes(len(rows), dim)
    head, rest = np.empty(head_bytes, np.uint8), np.empty(rest_bytes, np.uint8)
    _native.encode_rows(rows, basis, head, rest, threads=threads, kernel="")
    wide = basis[:, :dim].astype(np.float64)
    slack = _slack(wide, _native.coordinate_error(dim, kernel=""))
    return Codes(len(rows), dim, "", wide, slack, head, rest)


def build_codes(
    blocks: Blocks,
    path: Path,
    *,
    text_blocks: Blocks | None = None,
    source: str = "",
    metric: Metric = "cosine",
    threads: int = 1,
    progress: StepProgress | None = None,
) -> None:
    """Write the codes of all rows to one file, in one pass after a sample.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays with at least one row in all.
    path
        The file to write; its folder exists.
    text_blocks
        Vectors of the same space that represent text queries: with them, the codes rule out rows for
        text queries as well as for image queries.
    source
        A name for exactly these vectors, such as their checksum; stored in the file.
    metric
        The metric of the searches: `ip` codes rows with their lengths, after a pass that finds the largest.
    threads
        At least 1.
    progress
        Called with the number of rows done and of all rows.

    Raises
    ------
    WriteFailed
        The file could not be written.
    """
    row_norm = norm_above(blocks) if metric == "ip" else 0.0
    sample = sample_rows(blocks, norm=row_norm)
    basis = fit_basis(sample, sample_rows(text_blocks or []))
    with atomic.replacing(path) as file:
        writer = _Writer(file, basis, sum(len(block) for block in blocks), row_norm, threads)
        for chunk in _chunks(blocks):
            writer.add(chunk)
            if progress is not None:
                progress(writer.rows_done, writer.rows)
        writer.finish(source)


def norm_above(blocks: Blocks) -> float:
    """Return the smallest power of two that is surely at least the norm of every row; 1 if no row has one.

    Rows that are all zero or not finite do not count.
    """
    largest = 0.0
    for chunk in _chunks(blocks):
        wide = chunk.astype(np.float32)
        squares = np.einsum("ij,ij->i", wide, wide)
        largest = max(largest, float(squares[np.isfinite(squares)].max(initial=0.0)))
    # A float32 sum of d squares errs by less than d 2^-23, below 2^-6 up to a dim of 65,536.
    return 2.0 ** math.ceil(math.log2(math.sqrt(largest * (1 + 2**-6)))) if largest else 1.0


def open_codes(
    path: Path, *, rows: int, dim: int, source: str | None = None, metric: Metric | None = None
) -> Codes:
    """Open a file of codes, which must belong to the given vectors.

    Compares the header and the basis with their checksums; `verify_codes` reads the rest.

    Raises
    ------
    MissingFile
        The file does not exist.
    DamagedFile
        It is truncated or its header is damaged.
    UnsupportedFormat
        It is a foreign file, or of a newer version.
    Mismatch
        It was made from other vectors.
    """
    header = _read_header(path)
    if metric is not None and (header.row_norm > 0) != (metric == "ip"):
        raise Mismatch(f"{path} was made for another metric than {metric}: {_REMEDY}")
    for key, expected in (("rows", rows), ("dim", dim), ("source", source)):
        if expected is not None and getattr(header, key) != expected:
            raise Mismatch(
                f"{path} was made from vectors with {key} {getattr(header, key)}, these have {key} {expected}: {_REMEDY}"
            )
    content = np.memmap(path, np.uint8, mode="r", offset=_HEADER_BYTES)
    basis_bytes, head_bytes, rest_bytes = _section_bytes(rows, dim)
    if len(content) != basis_bytes + head_bytes + rest_bytes:
        raise DamagedFile(
            f"{path} has {len(content)} bytes of codes, "
            f"expected {basis_bytes + head_bytes + rest_bytes}: {_REMEDY}"
        )
    stored = np.array(content[:basis_bytes]).view(np.float32).reshape(dim, -1)
    if checksums.of_bytes(stored.tobytes()) != header.checksums.get("basis"):
        raise DamagedFile(f"the basis in {path} differs from its checksum: {_REMEDY}")
    basis = stored[:, :dim].astype(np.float64)
    slack = _slack(basis, header.coordinate_error)
    head, rest = np.split(content[basis_bytes:], [head_bytes])
    return Codes(rows, dim, header.source, basis, slack, head, rest, header.row_norm)


def verify_codes(path: Path) -> None:
    """Read a file of codes and compare it with its checksums.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        As `open_codes`.
    """
    header = _read_header(path)
    codes = open_codes(path, rows=header.rows, dim=header.dim)
    for name, plane in (("head", codes.head), ("rest", codes.rest)):
        if xxhash.xxh3_128_hexdigest(plane.data) != header.checksums.get(name):
            raise DamagedFile(f"the {name} plane in {path} differs from its checksum: {_REMEDY}")


def _slack(basis: NDArray[np.float64], coordinate_error: float) -> float:
    return _ARITHMETIC_SLACK + orthogonality_error(basis) + 2 * coordinate_error


_REMEDY = "delete the file and search again to rebuild it"


class _Writer:
    """Writes codes into the file: two planes that grow in parallel, then the header."""

    def __init__(
        self,
        file: BinaryIO,
        basis: NDArray[np.float32],
        rows: int,
        row_norm: float,
        threads: int,
    ) -> None:
        self.rows_done = 0
        self.rows = rows
        self._file = file
        self._dim = len(basis)
        self._row_norm = row_norm
        self._threads = threads
        stride = (self._dim + 15) // 16 * 16
        self._basis = np.zeros((self._dim, stride), np.float32)
        self._basis[:, : self._dim] = basis
        basis_bytes, head_bytes, _ = _section_bytes(rows, self._dim)
        self._ends = {
            "head": _HEADER_BYTES + basis_bytes,
            "rest": _HEADER_BYTES + basis_bytes + head_bytes,
        }
        self._digests = {"head": xxhash.xxh3_128(), "rest": xxhash.xxh3_128()}

    def add(self, chunk: NDArray[np.float16]) -> None:
        _, head_bytes, rest_bytes = _section_bytes(len(chunk), self._dim)
        planes = {"head": np.empty(head_bytes, np.uint8), "rest": np.empty(rest_bytes, np.uint8)}
        _native.encode_rows(
            chunk,
            self._basis,
            planes["head"],
            planes["rest"],
            row_norm=self._row_norm,
            threads=self._threads,
            kernel="",
        )
        for name, plane in planes.items():
            self._file.seek(self._ends[name])
            self._file.write(plane.data)
            self._digests[name].update(plane.data)
            self._ends[name] += len(plane)
        self.rows_done += len(chunk)

    def finish(self, source: str) -> None:
        sums = {name: digest.hexdigest() for name, digest in self._digests.items()}
        header = _Header(
            rows=self.rows,
            dim=self._dim,
            source=source,
            coordinate_error=_native.coordinate_error(self._dim, kernel=""),
            checksums={"basis": checksums.of_bytes(self._basis.tobytes()), **sums},
            row_norm=self._row_norm,
        )
        text = json.dumps(_content(header)).encode()
        prefix = _PREFIX.pack(MAGIC, VERSION, len(text), checksums.of_bytes(text).encode())
        self._file.seek(0)
        self._file.write((prefix + text).ljust(_HEADER_BYTES, b"\0"))
        self._file.write(self._basis.tobytes())


def _content(header: _Header) -> dict[str, object]:
    content = asdict(header)
    if not header.row_norm:
        del content["row_norm"]
    return content


def _read_header(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            page = file.read(_HEADER_BYTES)
    except FileNotFoundError as error:
        raise MissingFile(
            f"{path} does not exist: the codes were never built or were deleted"
        ) from error
    if page[: len(MAGIC)] != MAGIC:
        raise UnsupportedFormat(f"{path} is not a file of codes: {_REMEDY}")
    if len(page) < _HEADER_BYTES:
        raise DamagedFile(f"{path} ends in its header: {_REMEDY}")
    _, version, length, checksum = _PREFIX.unpack_from(page)
    if version != VERSION:
        raise UnsupportedFormat(
            f"{path} has format version {version}, this release reads {VERSION}: {_REMEDY}"
        )
    text = page[_PREFIX.size : _PREFIX.size + length]
    if checksums.of_bytes(text).encode() != checksum or any(page[_PREFIX.size + length :]):
        raise DamagedFile(f"the header of {path} differs from its checksum: {_REMEDY}")
    with reading(path, advice=_REMEDY):
        header = typed(_Header, foreign_json.parse(text), "its header")
        size = path.stat().st_size
        if not (0 < header.rows < size and 0 < header.dim < size):  # each takes bytes of the file
            raise ValueError(
                f"it cannot hold {counted(header.rows, 'row')} of {header.dim:,} dimensions"
            )
        if not 0 <= header.row_norm < math.inf:
            raise ValueError(f"its row_norm is {header.row_norm}")
    return header


def _section_bytes(rows: int, dim: int) -> tuple[int, int, int]:
    """Bytes of the basis, the head plane and the rest plane."""
    _, _, head_stride, rest_stride = _native.code_layout(dim)
    groups = -(-rows // _GROUP_ROWS)
    return dim * ((dim + 15) // 16 * 16) * 4, groups * head_stride, groups * rest_stride


def _chunks(blocks: Blocks) -> Iterator[NDArray[np.float16]]:
    """Yield all rows in order, _CHUNK_ROWS at a time across blocks; the last chunk is smaller."""
    pieces: list[NDArray[np.float16]] = []
    held = 0
    for block in blocks:
        at = 0
        while at < len(block):
            piece = block[at : at + _CHUNK_ROWS - held]
            pieces.append(piece)
            at += len(piece)
            held += len(piece)
            if held == _CHUNK_ROWS:
                yield np.concatenate(pieces)
                pieces, held = [], 0
    if pieces:
        yield np.concatenate(pieces)
