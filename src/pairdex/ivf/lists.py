"""The lists of an inverted file: packs coded rows into groups of 32 and unpacks them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.files import atomic
from pairdex.ivf.file import GROUP_ROWS, NO_ROW, Header, IvfFile, Writer, group_stride, row_bytes
from pairdex.ivf.parameters import KEPT
from pairdex.ivf.quantiser import Coded, Quantiser, record_type
from pairdex.ivf.spill import Spill

__all__ = ["write_lists"]


def write_lists(
    path: Path,
    header: Header,
    quantiser: Quantiser,
    spill: Spill,
    *,
    extend: IvfFile | None,
    threads: int,
) -> None:
    """Write the file: in each list the rows of `extend`, then the spilled rows."""
    old = np.zeros_like(spill.counts) if extend is None else _counts(extend)
    counts = old + spill.counts
    groups = -(-counts // GROUP_ROWS)
    squares = np.zeros(len(counts))  # sums of squared distances to the centroids
    if extend is not None:
        squares += extend.section("spreads")[: len(counts)].astype(np.float64) ** 2 * old
    with atomic.replacing(path) as file:
        writer = Writer(file, replace(header, groups=int(groups.sum())))
        writer.add("basis", quantiser.basis)
        writer.add("centroids", quantiser.centroids)
        writer.add("centroid_groups", _centroid_groups(quantiser, header.coded, threads))
        writer.add("starts", np.concatenate([[0], np.cumsum(groups)]).astype(np.uint64))
        for number in range(spill.n_files):
            lists = spill.lists(number)
            records = spill.take(number)
            squares += np.bincount(records["list"], records["spread"], len(counts))
            if extend is not None:
                records = _by_list(np.concatenate([_stored(extend, lists), records]))
            places = _places(counts[lists.start : lists.stop])
            writer.add("ids", np.where(places < 0, NO_ROW, records["id"].take(places, mode="clip")))
            writer.add("groups", _grouped(records, places, header.coded, threads))
        spreads = np.zeros(-(-len(counts) // GROUP_ROWS) * GROUP_ROWS, np.float32)
        spreads[: len(counts)] = np.sqrt(squares / np.maximum(counts, 1))
        writer.add("spreads", spreads)
        writer.finish()


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row at each place of some lists; lists are padded to whole groups with -1."""
    padded = -(-counts // GROUP_ROWS) * GROUP_ROWS
    places = np.full(int(padded.sum()), -1, np.int64)
    rows = np.arange(int(counts.sum()))
    moved = np.repeat((np.cumsum(padded) - padded) - (np.cumsum(counts) - counts), counts)
    places[rows + moved] = rows
    return places


def _grouped(
    records: Coded, places: NDArray[np.int64], coded: int, threads: int
) -> NDArray[np.uint8]:
    """Return records as groups of 32 places."""
    groups = np.empty(len(places) // GROUP_ROWS * group_stride(coded), np.uint8)
    _native.ivf_group(
        np.ascontiguousarray(records["codes"]),
        np.ascontiguousarray(records["facts"]),
        places,
        coordinates=KEPT + coded,
        groups=groups,
        threads=threads,
    )
    return groups


def _centroid_groups(quantiser: Quantiser, coded: int, threads: int) -> NDArray[np.uint8]:
    codes, facts = _native.ivf_code(quantiser.centroids, threads=threads)
    records = np.empty(len(codes), record_type(codes.shape[1]))
    records["codes"], records["facts"] = codes, facts
    return _grouped(records, _places(np.array([len(codes)])), coded, threads)


def _counts(file: IvfFile) -> NDArray[np.int64]:
    """Return the number of rows in each list."""
    in_groups = (file.section("ids") != NO_ROW).reshape(-1, GROUP_ROWS).sum(axis=1)
    before = np.concatenate([[0], np.cumsum(in_groups)])
    counts: NDArray[np.int64] = np.diff(before[file.section("starts").astype(np.int64)])
    return counts


def _stored(file: IvfFile, lists: range) -> Coded:
    """Return the records of some lists as they were before grouping, without `spread`."""
    coded = file.header.coded
    starts = file.section("starts")[lists.start : lists.stop + 1].astype(np.int64)
    first, end = int(starts[0]), int(starts[-1])
    stride, length = group_stride(coded), row_bytes(coded)
    groups = file.section("groups")[first * stride : end * stride].reshape(-1, stride)
    facts_bytes = stride - GROUP_ROWS * length
    facts = np.ascontiguousarray(groups[:, :facts_bytes]).view("<u2").reshape(-1, 3, GROUP_ROWS)
    fours = (
        groups[:, facts_bytes:].view("<u4").reshape(len(groups), 2, length // 4, GROUP_ROWS // 2)
    )
    records = np.zeros(len(groups) * GROUP_ROWS, record_type(length))
    records["list"] = np.repeat(np.asarray(lists, np.uint32), np.diff(starts) * GROUP_ROWS)
    records["id"] = file.section("ids")[first * GROUP_ROWS : end * GROUP_ROWS]
    records["facts"] = facts.transpose(0, 2, 1).reshape(-1, 3)
    records["codes"] = (
        np.ascontiguousarray(fours.transpose(0, 1, 3, 2)).view(np.uint8).reshape(-1, length)
    )
    stored: Coded = records[records["id"] != NO_ROW]
    return stored


def _by_list(records: Coded) -> Coded:
    return records[np.argsort(records["list"], kind="stable")]
