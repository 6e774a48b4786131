"""Searches an inverted file: groups queries by kind, and chooses the effort."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import DamagedFile, Mismatch
from pairdex.ivf.efforts import Effort, OperatingPoints, QueryKind, points_path, read_points
from pairdex.ivf.file import GROUP_ROWS, NO_ROW, REMEDY, IvfFile
from pairdex.knn.cosine import Neighbours, Report
from pairdex.wording import counted
from pairdex.work.processors import usable_processors

__all__ = ["InvertedIndex", "Plan", "open_index"]

NeedRows = Callable[[NDArray[np.int64]], None]
"""Called with the ids of rows (n,) that must be there."""

_SMALL_SECTIONS = ("basis", "centroids", "centroid_groups", "spreads", "starts", "ids")


@dataclass(frozen=True)
class Plan:
    """The efforts of a search: for queries like the rows, and for queries of the other kind."""

    own: Effort
    other: Effort


class InvertedIndex:
    """An opened inverted file with the rows that it indexes.

    Parameters
    ----------
    file
        The index of exactly these rows.
    blocks
        C-contiguous (rows, dim) float16 arrays, usually memory maps.
    on_disk
        True if the rows should stay on disk: only the rows that are compared are read, many at once.
    need
        Called with the ids of rows, int64 (n,), before a search compares them; None if all rows are there.
    """

    def __init__(
        self,
        file: IvfFile,
        blocks: Sequence[NDArray[np.float16]],
        *,
        on_disk: bool = False,
        need: NeedRows | None = None,
    ) -> None:
        self.file = file
        self.on_disk = on_disk
        self._needed = {} if need is None else {"need": need}
        self.other_from = np.inf if file.header.other_from is None else file.header.other_from
        self._mean, self._gap = np.array(file.section("basis")[:2, : file.header.dim])
        rows = [_scattered(block) for block in blocks] if on_disk else list(blocks)
        try:
            self._native = _native.InvertedFile(
                rows,
                **{
                    name: file.section(name)
                    for name in ("basis", "spreads", "starts", "groups", "ids")
                },
                centroids=file.section("centroid_groups"),
            )
        except ValueError as error:
            raise DamagedFile(f"{file.path} is damaged ({error}): {REMEDY}") from error

    @property
    def rows(self) -> int:
        """Number of indexed rows."""
        return self.file.header.rows

    @property
    def file_bytes(self) -> int:
        """Size of its file in bytes."""
        return self.file.path.stat().st_size

    def lists_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the list of each row, of the same shape; 0 for an id of -1."""
        places = np.zeros(self.rows, np.int64)
        stored = self.file.section("ids")
        there = np.flatnonzero(stored != NO_ROW)
        places[stored[there]] = there
        starts = self.file.section("starts").astype(np.int64) * GROUP_ROWS
        lists = np.searchsorted(starts, places[np.maximum(ids, 0)], side="right") - 1
        return np.where(ids < 0, 0, lists)

    def kinds(self, queries: NDArray[np.float32]) -> dict[QueryKind | None, NDArray[np.int64]]:
        """Return the positions of the queries of each kind; kinds without queries are left out.

        None stands for queries unlike any known kind: if the index was built without vectors of the
        other kind, no effort is known for queries that lie far from all rows, as texts do from images.
        """
        knows_other = np.isfinite(self.other_from)
        direction = self._gap if knows_other else self._mean
        # One row at a time, so that the kind of a query does not depend on the others of its batch.
        lengths = np.sqrt(np.einsum("qd,qd->q", queries, queries, dtype=np.float64))
        along = np.einsum("qd,d->q", queries, direction, dtype=np.float64) / lengths
        is_own = along < self.other_from if knows_other else along >= self.file.header.rows_from
        other: QueryKind | None = "other" if knows_other else None
        found = {"own": np.flatnonzero(is_own), other: np.flatnonzero(~is_own)}
        return {kind: positions for kind, positions in found.items() if len(positions)}

    def plan(
        self, points: OperatingPoints, queries: NDArray[np.float32], k: int, recall: float
    ) -> Plan | None:
        """Return the least efforts that reach a recall; None if one is not known."""
        efforts: dict[QueryKind, Effort] = {}
        for kind in self.kinds(queries):
            effort = None if kind is None else points.pick(kind, k, recall)
            if kind is None or effort is None:
                return None
            efforts[kind] = replace(effort, rerank=max(effort.rerank, k))
        if not efforts:
            return None
        any_kind = next(iter(efforts.values()))
        return Plan(efforts.get("own", any_kind), efforts.get("other", any_kind))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        plan: Plan,
        *,
        allowed: NDArray[np.bool_] | None = None,
        threads: int | None = None,
        kernel: str | None = None,
    ) -> Neighbours:
        """Find the k nearest rows of each query, approximately.

        Parameters
        ----------
        queries
            (n, dim) float32, C-contiguous, each with a direction.
        allowed
            (rows,): only rows where it is true are found. A query then scans lists until it has seen
            as many allowed rows as it would see rows without a filter.

        Returns
        -------
        Neighbours
            Distances of the vectors as stored, in float64. It is not certified that no other row is
            nearer. Fewer than k rows if the scanned lists hold no more.

        Raises
        ------
        Mismatch
            Queries of another dimension.
        """
        if queries.shape[1] != self.file.header.dim:
            raise Mismatch(
                f"the queries have {queries.shape[1]} dimensions, {self.file.path} has "
                f"{self.file.header.dim}"
            )
        ids, distances, scanned, compared = self._native.search(
            queries,
            k,
            own=(plan.own.nprobe, plan.own.rerank, plan.own.spread_weight),
            other=(plan.other.nprobe, plan.other.rerank, plan.other.spread_weight),
            other_from=float(self.other_from),
            allowed=allowed,
            from_disk=self.on_disk,
            threads=threads or usable_processors(),
            kernel=kernel or "",
            **self._needed,
        )
        report = Report(scanned, 0, compared, certified=False, exact=False)
        return Neighbours(ids, distances, report)


def open_index(
    path: Path,
    blocks: Sequence[NDArray[np.float16]],
    parts: list[str],
    *,
    need: NeedRows | None = None,
) -> tuple[InvertedIndex, OperatingPoints]:
    """Open an inverted file and its operating points; `blocks` and `need` as in `InvertedIndex`.

    Everything except the codes is compared with its checksum. A damaged code can only hide a row;
    `IvfFile.verify` finds it.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; damaged, or of another version.
    Mismatch
        It indexes other vectors: parts were added, or it was copied from elsewhere.
    """
    file = IvfFile(path)
    if file.header.parts != parts:
        raise Mismatch(
            f"{path} indexes {counted(len(file.header.parts), 'part')} with {counted(file.header.rows, 'row')}, the collection has "
            f"{len(parts)} with {sum(map(len, blocks)):,}: update it with pairdex index"
        )
    points = read_points(points_path(path))
    if points.of != file.seal:
        raise Mismatch(f"{points_path(path)} belongs to another index than {path}: {REMEDY}")
    file.verify(*_SMALL_SECTIONS)
    on_disk = points.on_disk and need is None
    return InvertedIndex(file, blocks, on_disk=on_disk, need=need), points


def _scattered(block: NDArray[np.float16]) -> NDArray[np.float16]:
    """Map the file of a block again, for reads of single rows without read-ahead."""
    base: object = block
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if not isinstance(base, np.memmap) or base.filename is None:
        return block
    again = np.memmap(
        base.filename, np.float16, mode="r", offset=base.offset, shape=block.shape, order="C"
    )
    mapped = again._mmap  # type: ignore[attr-defined]  # numpy has no public way
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return again
