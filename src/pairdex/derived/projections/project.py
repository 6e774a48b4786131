"""Projections of a collection, and of queries with the same model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from pairdex.arguments import StrPath, checked
from pairdex.derived.projections.ceiling import recall_ceilings
from pairdex.derived.projections.files import open_projection
from pairdex.derived.projections.fitting import FitOptions
from pairdex.derived.projections.methods import Method
from pairdex.derived.projections.queries import read_for, write_projected
from pairdex.derived.projections.write import ProjectReport, project_collection
from pairdex.errors import InvalidArgument
from pairdex.progress import Progress, at_step
from pairdex.store.store import Store

__all__ = ["project"]


@checked
def project(
    collection: StrPath,
    name: str,
    *,
    model: StrPath | None = None,
    fit_rows: int | None = None,
    method: Method | None = None,
    seed: int | None = None,
    queries: StrPath | ArrayLike | None = None,
    out: StrPath | None = None,
    ceiling: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> ProjectReport:
    """Project the image vectors of a collection that are not projected yet.

    If a call is interrupted, the same call resumes it.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    name
        `pcaN` with N components, e.g. `pca32` or `pca96`, or `hamming` for sketches of 1,024 bits.
    model
        The file to read the model from. None: keep the existing projection's model, or fit one.
    fit_rows
        The number of evenly spaced rows to fit to. None: all rows; for `rotations` and `joint` 65,536.
    method
        Of pcaN: `pca` (default, as SISAP defines it); of sketches: `rotations` (default) or `binwalk` (by
        the SISAP organisers). Of both: `joint`, which is fitted to image and text vectors, so that texts
        find rows too.
    seed
        The random seed of sketches (default 0).
    queries, out
        Query vectors, shape (n, dim), or a file of them, to project with the same model, and the HDF5
        file to write them to.
    ceiling
        Measure the recall of brute-force search in the projection, for `queries` or, without them, for up
        to 1,000 rows of the collection.
    cluster
        The address of a Ray cluster (host:port) whose nodes project the parts, or `auto`. All nodes must see
        the collection's folder. The model is fitted here.
    progress
        Called with the step, the rows done and the rows in total.

    Raises
    ------
    PairdexError
        A wrong name or model, too few rows, another writer, or a full disk.
    """
    if queries is None and out is not None:
        raise InvalidArgument(
            "out is given without queries; name the queries to project", field="queries"
        )
    if queries is not None and out is None and not ceiling:
        raise InvalidArgument(
            "queries are given without out or ceiling; name the file to write them to", field="out"
        )
    folder = Path(collection)
    vectors = None if queries is None else read_for(Store(folder), queries, out)
    options = FitOptions(None if model is None else Path(model), fit_rows, method, seed)
    report = project_collection(folder, name, options=options, cluster=cluster, progress=progress)
    if vectors is not None and out is not None:
        write_projected(open_projection(Store(folder), name), vectors, Path(out))
    if not ceiling:
        return report
    store = Store(folder)
    meter = at_step(progress, "searching")
    ceilings = recall_ceilings(store, open_projection(store, name), vectors, progress=meter)
    return replace(report, recall_ceiling=ceilings)
