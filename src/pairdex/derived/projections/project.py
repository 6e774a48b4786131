"""Projections of a collection, and of queries with the same model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from pairdex.arguments import StrPath, checked
from pairdex.derived.projections.ceiling import recall_ceilings
from pairdex.derived.projections.files import open_projection
from pairdex.derived.projections.fitting import FitOptions
from pairdex.derived.projections.methods import SketchMethod
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
    method: SketchMethod | None = None,
    seed: int | None = None,
    queries: StrPath | ArrayLike | None = None,
    out: StrPath | None = None,
    ceiling: bool = False,
    progress: Progress | None = None,
) -> ProjectReport:
    """Project all vectors of a collection, or those that are not yet; resumed by the same call.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    name
        `pca32`, `pca96`, PCA of another number of components `pcaN`, or `hamming`: sketches of 1,024
        bits.
    model
        A file to take the model from; without it the model that the projection has is kept, or one
        is fitted.
    fit_rows
        Fit to N rows at equal distances; None: to all, for `rotations` to 65,536.
    method, seed
        How sketches are made: `rotations` (default) or `binwalk`, the SISAP organisers', and the seed
        of what they draw at random (0).
    queries, out
        Query vectors (n, dim), or a file of them, to project with the same model, and the HDF5 file for
        the result.
    ceiling
        Report how much of the exact neighbours brute force in the projection finds, of `queries` or,
        without them, of up to 1,000 of the collection's rows.
    progress
        Called with what is being done, the rows done and the rows in all.

    Raises
    ------
    PairdexError
        A wrong name or model, too few rows, another writer, no room.
    """
    if queries is None and out is not None:
        raise InvalidArgument("there are no queries to write to out", field="queries")
    if queries is not None and out is None and not ceiling:
        raise InvalidArgument("queries go to a file or give a ceiling: name out", field="out")
    folder = Path(collection)
    vectors = None if queries is None else read_for(Store(folder), queries, out)
    options = FitOptions(None if model is None else Path(model), fit_rows, method, seed)
    report = project_collection(folder, name, options=options, progress=progress)
    if vectors is not None and out is not None:
        write_projected(open_projection(Store(folder), name), vectors, Path(out))
    if not ceiling:
        return report
    store = Store(folder)
    meter = at_step(progress, "searching")
    ceilings = recall_ceilings(store, open_projection(store, name), vectors, progress=meter)
    return replace(report, recall_ceiling=ceilings)
