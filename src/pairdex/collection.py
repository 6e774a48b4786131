"""The class that people use: an opened collection, to look at and to search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pairdex import search
from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.derived.lookups.urls import UrlTable
from pairdex.derived.projections.files import Projection, find_projections
from pairdex.encoders.encoder import Encoder
from pairdex.errors import InvalidArgument
from pairdex.exports.names import Config
from pairdex.exports.training.examples import examples
from pairdex.exports.training.features import Example
from pairdex.ivf.efforts import OperatingPoints
from pairdex.ivf.search import InvertedIndex
from pairdex.knn import cosine
from pairdex.parts.model_record import ModelRecord
from pairdex.progress import Progress, at_step
from pairdex.search import DEFAULT_K, Facets, Picture, Query, Term
from pairdex.search.hits import with_folded
from pairdex.search.pages import read_page
from pairdex.search.searcher import How, Searcher
from pairdex.store.manifest import Manifest
from pairdex.store.own_model import find_model
from pairdex.store.pictures import picture_path
from pairdex.store.store import Kind, Store
from pairdex.store.vectors_view import VectorsView

__all__ = ["Collection", "Hits"]

_KEPT_FACETS = 64  # filters whose facets are kept: some kilobytes each


@dataclass(frozen=True)
class Hits:
    """What a search found, nearest first, and how: `report` counts what was scanned and compared."""

    table: pa.Table
    report: cosine.Report


@dataclass(frozen=True)
class OpenOptions:
    """How a collection was opened; see `Collection.open`."""

    model: str | Path | None
    use_codes: bool


class Collection:
    """An opened collection: `len(c)` rows of `c.dim`-dimensional vectors with metadata.

    It shows one version of the collection: parts added later are seen by opening it again. Rows that
    are removed later are gone at once; `5 in c` tells whether the row of id 5 is there.
    """

    def __init__(
        self, store: Store, *, model: str | Path | None = None, use_codes: bool = True
    ) -> None:
        self._store = store
        self._model_source = model
        self._use_codes = use_codes
        self._searcher = Searcher(store, use_codes=use_codes)
        self._facets: dict[tuple[str, str | None], Facets] = {}
        self._keywords: KeywordIndex | None = None
        self._urls: UrlTable | None = None
        self._indexing = Lock()  # not the searcher's: searches go on while captions are indexed

    @classmethod
    def open(
        cls, path: str | Path, *, model: str | Path | None = None, use_codes: bool = True
    ) -> Collection:
        """Open the collection in the folder `path`.

        Parameters
        ----------
        model
            The name or folder of the model that made the vectors, where the collection does not
            say, or the model has moved; it is loaded when a text or picture is searched for.
        use_codes
            Whether searches use the codes in `indexes/`, which the first one builds. Without them a
            search reads all vectors: the same answer, later, and nothing is written.

        Raises
        ------
        MissingFile, DamagedFile, UnsupportedFormat
            No collection there, a damaged one, or one of a newer format version.
        """
        return cls(Store(Path(path)), model=model, use_codes=use_codes)

    def reopened(self) -> Collection:
        """Return the collection as it is on disk now; a model that is loaded, and still its, is shared.

        Raises
        ------
        MissingFile, DamagedFile, UnsupportedFormat
            As `open`; also if rows that were removed from this version are present again.
        """
        newest = Collection(Store(self.path), model=self._model_source, use_codes=self._use_codes)
        newest._store.check_follows(self._store)
        is_same = (newest.model, newest.dim) == (self.model, self.dim)
        if is_same and "encoder" in vars(self):
            vars(newest)["encoder"] = self.encoder
        return newest

    def __len__(self) -> int:
        return self._store.live_rows

    def __contains__(self, row_id: int) -> bool:
        live = self._store.allowed()
        return 0 <= row_id < self._store.rows and (live is None or bool(live[row_id]))

    def __repr__(self) -> str:
        return f"<Collection {self.path}: {len(self):,} rows of {self.dim} dimensions>"

    @property
    def options(self) -> OpenOptions:
        """How it was opened, for another process to open it the same way."""
        return OpenOptions(self._model_source, self._use_codes)

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._store.path

    @property
    def name(self) -> str:
        """The name it was built under."""
        return self._store.manifest.name

    @property
    def removed(self) -> int:
        """How many of its rows were removed; their ids stay unused."""
        return self._store.rows - self._store.live_rows

    @property
    def dim(self) -> int:
        """The dimension of its vectors."""
        return self._store.dim

    @property
    def columns(self) -> list[str]:
        """The names of its metadata columns."""
        return list(self._store.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """Its metadata columns with their Arrow types."""
        return self._store.schema

    @property
    def checksum(self) -> str:
        """What names its rows in files derived from them: it changes when rows are removed."""
        return self._store.checksum

    @property
    def manifest(self) -> Manifest:
        """All that its manifest says: parts, origin, counts, filter, model."""
        return self._store.manifest

    @property
    def model(self) -> ModelRecord | None:
        """The record of the model that made the vectors, where it is known."""
        return self._store.manifest.model

    @property
    def projections(self) -> list[str]:
        """The names of its projections, each of which a search can be `on`."""
        return find_projections(self._store)

    @cached_property
    def has_safe_mode(self) -> bool:
        """Whether its columns tell which rows are safe: LAION's score `punsafe`, or the tag `nsfw`."""
        return search.safe_filter(self.schema) is not None

    @cached_property
    def encoder(self) -> Encoder:
        """The model that made the vectors, loaded.

        Raises
        ------
        MissingFile, Mismatch, DamagedFile
            No model is known or found, or it is another than the collection's.
        """
        return Encoder(find_model(self._store, self._model_source))

    def vectors(self, on: Kind = "image") -> VectorsView:
        """Return its image or text vectors, float16 by id: `c.vectors("image")[1000:2000]`.

        They are those in the files, of removed rows too.
        """
        return self._store.vectors(on)

    def take(self, ids: ArrayLike, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the metadata of rows, in the order of `ids`.

        Raises
        ------
        InvalidArgument
            An id out of range or of a removed row, or an unknown column.
        """
        return self._store.take(ids, columns)

    def values(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return the metadata of a few rows as dictionaries that JSON can carry; all ids in range."""
        return self._store.values(ids)

    @property
    def live(self) -> NDArray[np.bool_] | None:
        """Which rows were not removed, shape (n,); None where none was."""
        return self._store.allowed()

    def query_vector(
        self, query: Query, *, on: str = "image", encoder: search.Embeds | None = None
    ) -> NDArray[np.float32]:
        """Return the vector (dim,) that a query is searched with, of unit length.

        Parameters
        ----------
        encoder
            In the place of the collection's own, where its vectors are known already.

        Raises
        ------
        InvalidArgument, Mismatch
            A value of the query cannot be used.
        """
        kind = self.kind_of(on)
        if encoder is None and query.needs_model:
            encoder = self.encoder
        return search.query_vector(self._store, query, encoder, kind)

    def nearest(
        self,
        vectors: ArrayLike,
        k: int = DEFAULT_K,
        *,
        on: str = "image",
        where: str | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the k nearest rows of each vector.

        Parameters
        ----------
        vectors
            Shape (n, dim), of any length but zero; for a projection also rows that are projected
            already, float32 (n, N) for pcaN, uint64 (n, 16) for 1,024 bits.
        on
            image, text, or the name of a projection: pca96, hamming.
        exact
            Search exactly although the collection has an index (`pairdex.index`).
        recall
            What a search by the index should reach, in the place of what the index was made for.

        Returns
        -------
        ids : NDArray[np.int64], shape (n, k)
            Nearest first, equal distances by smaller id; -1 where fewer than k rows qualify.
        distances : NDArray[np.float32], shape (n, k)
            1 - cos, in a projection the squared Euclidean distance or the differing bits; infinity
            beside an id of -1.
        """
        found = self.neighbours(vectors, k, on=on, where=where, exact=exact, recall=recall)
        return found.ids, found.distances.astype(np.float32)

    def neighbours(
        self,
        vectors: ArrayLike,
        k: int = DEFAULT_K,
        *,
        on: str = "image",
        where: str | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> cosine.Neighbours:
        """Return what `nearest` does, with distances in float64 and a report of how it was found."""
        how = How(where, exact, recall)
        return self._searcher.nearest(self._searcher.space(on), np.asarray(vectors), k, how)

    def prepare(
        self, on: str = "image", *, exact: bool = True, progress: Progress | None = None
    ) -> None:
        """Have what makes searches fast, building it if need be; the first search does it.

        Parameters
        ----------
        exact
            Whether exact searches are to be fast too where there is an index.
        progress
            Called with the step, the rows done and the rows in all while codes are built.

        Raises
        ------
        InvalidArgument
            There are neither such vectors nor such a projection.
        """
        self._searcher.prepare(on, exact=exact, progress=at_step(progress, "making codes"))

    def is_prepared(self, on: str = "image") -> bool:
        """Whether `prepare` has found or made what makes searches fast, or there is nothing of it."""
        return self._searcher.is_prepared(on)

    def search(
        self,
        *,
        text: str | None = None,
        image: Picture | None = None,
        like: int | None = None,
        vector: NDArray[np.float32] | None = None,
        unlike: str | None = None,
        terms: Sequence[Term] | None = None,
        k: int = DEFAULT_K,
        offset: int = 0,
        on: str = "image",
        where: str | None = None,
        safe: bool = False,
        keywords: str | None = None,
        fold: float | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> pa.Table:
        """Return the k rows nearest to a text, a picture, a row, a vector, or several of them together.

        Parameters
        ----------
        text, image, like, vector, terms
            Exactly one: a text, a picture (path, bytes or PIL image), an id, a vector (dim,), or
            terms of these with weights, negative for what is not wanted.
        unlike
            A text whose direction is taken from the query's.
        offset
            How many of the nearest to leave out, for the next page of results.
        on
            image, text, or the name of a projection, in which the query is projected too.
        where
            A SQL predicate over the columns; k rows are found if k rows satisfy it.
        safe
            Find only rows that are known to be safe: `has_safe_mode` tells whether that can be known.
        keywords
            Words that captions should have: `dog "red car" -cat`. Rows are ordered by both rankings,
            by vectors and by words (BM25), fused; a quoted phrase has to appear, a word after `-` must
            not. The first such search indexes the captions.
        fold
            A cosine distance of 0 to 0.5, 0.06 for near-duplicates: a row within it of an earlier one is
            folded into that; the ids of such rows are the column `folded`. k different rows are found
            if there are so many.
        exact, recall
            As `nearest` takes them.

        Returns
        -------
        pyarrow.Table
            id, distance (1 - cos, or the projection's), similarity (cos), then the metadata columns,
            nearest first; a stored column `similarity` is called `pair_similarity` here.
        """
        query = Query(text=text, image=image, like=like, vector=vector, unlike=unlike, terms=terms)
        hits = self.hits(
            query,
            k=k,
            offset=offset,
            on=on,
            where=where,
            safe=safe,
            keywords=keywords,
            fold=fold,
            exact=exact,
            recall=recall,
        )
        return hits.table

    def hits(
        self,
        query: Query,
        *,
        k: int = DEFAULT_K,
        offset: int = 0,
        on: str = "image",
        where: str | None = None,
        safe: bool = False,
        keywords: str | None = None,
        fold: float | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Hits:
        """Return what `search` does, with a report of how it was found."""
        search.check_k(k)
        if offset < 0:
            raise InvalidArgument(f"the offset is {offset}, expected at least 0", field="offset")
        kind, asked = self.kind_of(on), self.query_vector(query, on=on)
        how = How(self.narrowed(where, safe=safe), exact, recall)
        ranking = self._searcher.ranking(
            query, asked, on, how, keywords=keywords, index=self.prepare_keywords
        )
        page = read_page(ranking, self._store.vectors(kind), k=k, offset=offset, threshold=fold)
        cosines = None
        if on != kind:
            cosines = search.similarities(self._store, kind, asked, page.ids)
        table = search.describe(self._store, page.ids, page.distances, cosines)
        if page.folded is not None:
            table = with_folded(table, page.folded)
        return Hits(table, page.report)

    def prepare_keywords(self, *, progress: Progress | None = None) -> KeywordIndex:
        """Have the captions' words indexed, which is done once; the first search for keywords does it.

        Raises
        ------
        InvalidArgument, DamagedFile
            There are no captions; the index is damaged.
        """
        with self._indexing:
            if self._keywords is None:
                self._keywords = KeywordIndex(
                    self._store, progress=at_step(progress, "indexing captions")
                )
            return self._keywords

    def find_urls(self, urls: Sequence[str]) -> list[list[int]]:
        """Return the ids of the rows that have each URL, exactly but for spaces around it.

        Raises
        ------
        InvalidArgument, DamagedFile
            There is no column `url`; the table of URLs is damaged.
        """
        with self._indexing:
            if self._urls is None:
                self._urls = UrlTable(self._store)
        return self._urls.find(urls)

    def narrowed(self, where: str | None, *, safe: bool) -> str | None:
        """Return a filter for `nearest` that holds for the safe rows, or for all, that satisfy `where`.

        Raises
        ------
        InvalidArgument
            No predicate over the columns; no column that says which rows are safe.
        """
        return search.narrowed(self._store, where, safe=safe)

    def facets(self, *, where: str | None = None, safe: bool = False) -> Facets:
        """Return what each column holds among the rows that satisfy a filter; kept for the next time.

        Raises
        ------
        InvalidArgument
            No predicate over the columns; no column that says which rows are safe.
        """
        both = self.narrowed(where, safe=safe)
        key = (self.checksum, both)
        if key not in self._facets:
            if len(self._facets) >= _KEPT_FACETS:
                self._facets = {}
            self._facets[key] = search.count_facets(self._store, both)
        return self._facets[key]

    def kind_of(self, on: str) -> Kind:
        """Return the kind of vectors that a search `on` something compares, in the end."""
        space = self._searcher.space(on)
        return space.record.on if isinstance(space, Projection) else space

    def index(self, on: Kind = "image") -> tuple[InvertedIndex, OperatingPoints] | None:
        """Return the approximate index of its vectors with its operating points, opened once.

        None where there is none; where it is damaged or of other vectors, a warning says so.
        """
        return self._searcher.index(on)

    def examples(self, config: Config = "images") -> Iterator[Example]:
        """Yield its rows with the features of TFDS's `laion400m`; see `pairdex.examples`."""
        return examples(self.path, config)

    def picture(self, row_id: int) -> Path | None:
        """Return the local picture of a row, or None where there is none.

        Only files inside the folder that the pictures were encoded from are returned, whatever the
        metadata says.
        """
        self._store.check_ids(np.array([row_id], np.int64))
        if "image_path" not in self.columns:
            return None
        name = self.take([row_id], ["image_path"])["image_path"][0].as_py()
        return picture_path(self._store.part_of(row_id), name)
