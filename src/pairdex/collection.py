"""The main class: an opened collection, to read and to search."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array, checked
from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.derived.projections.files import find_projections
from pairdex.errors import InvalidArgument
from pairdex.files.query_files import query_array, query_set
from pairdex.ivf.efforts import OperatingPoints
from pairdex.ivf.search import InvertedIndex
from pairdex.knn.cosine import Neighbours
from pairdex.knn.distance import Metric
from pairdex.parts.places import is_address
from pairdex.progress import Progress, at_step
from pairdex.search.facets import Facets
from pairdex.search.finder import Finder
from pairdex.search.hits import Hits
from pairdex.search.neighbours import DEFAULT_K
from pairdex.search.options import SearchKeywords, SearchOptions
from pairdex.search.query import Picture, Query, Term, TextImageEncoder
from pairdex.search.questions import Question, as_query, is_several
from pairdex.search.safety import narrowed, safe_filter
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, VectorField
from pairdex.store.stored_rows import StoredRows
from pairdex.wording import counted
from pairdex.work.sizes import ByteSize, parse_size

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pairdex.derived.info import CollectionInfo
    from pairdex.encoders.encoder import Encoder
    from pairdex.exports.names import Config
    from pairdex.exports.training.features import Example

__all__ = ["Collection", "open"]

SQL_MEMORY = "2GB"  # memory of one SQL statement
CACHE = "20GB"  # of collections that were opened at addresses


class Collection(StoredRows):
    """An opened collection: `len(c)` rows of `c.dim`-dimensional vectors with metadata.

    It shows one version of the collection. Open it again to see parts that were added later. Rows
    that are removed later disappear at once.

    `c[5]` is the row with id 5 as a dictionary. `c[[5, 17]]` and `c[100:200]` (ids, without removed
    rows) are each a pyarrow.Table. Rows have the id and all columns. `for row in c` iterates over
    all rows, and `5 in c` tests for the id 5. Every pairdex function that takes a collection's path
    also takes an opened collection. Unpickling a collection opens it again. A notebook shows a few
    rows of a collection, one row and search results with their pictures.
    """

    def __init__(self, finder: Finder) -> None:
        super().__init__(finder.store)
        self._finder: Finder | None = finder

    @classmethod
    @checked
    def open(
        cls,
        path: StrPath,
        *,
        model: StrPath | None = None,
        use_codes: bool = True,
        cache: ByteSize = CACHE,
        progress: Progress | None = None,
    ) -> Collection:
        """Open the collection in the folder `path`, or read-only at an address.

        Parameters
        ----------
        path
            The folder of the collection, or the address that it was pushed to: https://, s3://, gs://,
            az://, hf://, file://. Rows, filters and single vectors fetch the blocks of files that they
            read, searches the vectors or the index whole. All is kept in the cache folder.
        model
            The name or folder of the model that made the vectors. Needed if the collection does not
            record it or the model has moved. The first search for a text or picture loads it.
        use_codes
            Use the codes in `indexes/`; the first search builds them. Without codes, a search is
            slower, gives the same answer and writes nothing.
        cache
            Largest size of the cache of collections that were opened at addresses: `20GB`, or bytes.
        progress
            At an address: called with the step, the bytes done and the total whenever whole files are
            fetched.

        Raises
        ------
        MissingFile, DamagedFile, UnsupportedFormat
            The collection is missing, damaged, or has a newer format version.
        FetchFailed
            The address cannot be read.
        """
        limit_bytes = parse_size(cache, field="cache")
        if not is_address(os.fspath(path)):
            return cls(Finder(open_store(Path(path)), model=model, use_codes=use_codes))
        from pairdex.sharing.cache import open_published  # noqa: PLC0415 - loads an HTTP client

        store = open_published(os.fspath(path), limit_bytes=limit_bytes, progress=progress)
        return cls._of_published(store, model, use_codes=use_codes)

    @classmethod
    def _of_published(cls, store: Store, model: StrPath | None, *, use_codes: bool) -> Collection:
        """Return a collection that uses codes only if they are published: it builds none."""
        assert store.published is not None
        codes = [f"indexes/{on}/codes" for on in store.manifest.vectors]
        use_codes = use_codes and store.published.has_all(*codes)
        return cls(Finder(store, model=model, use_codes=use_codes))

    def reopened(self) -> Collection:
        """Open the current version on disk; share the loaded model if it is still the right one.

        Raises
        ------
        MissingFile, DamagedFile, UnsupportedFormat
            Raised as by `open`; also if rows removed from this version are present again.
        """
        old, published = self.finder, self._store.published
        if published is None:
            store = open_store(self._place)
            newest = Collection(
                Finder(
                    store,
                    model=old.model_source,
                    use_codes=old.use_codes,
                    make_searcher=old.make_searcher,
                )
            )
        else:
            newest = Collection._of_published(
                published.opened(), old.model_source, use_codes=old.use_codes
            )
        new = newest.finder
        newest._store.check_follows(self._store)
        is_same = (newest.model, newest.dim) == (self.model, self.dim)
        if is_same and "encoder" in vars(old):
            vars(new)["encoder"] = old.encoder
        return newest

    def close(self) -> None:
        """Close files, indexes and model; later, every use except `path` raises InvalidArgument."""
        super().close()
        self._finder = None

    @property
    def finder(self) -> Finder:
        """The finder that answers queries; for internal use by pairdex."""
        if self._finder is None:
            place = self._url or self._place
            raise InvalidArgument(f"the collection {place} is closed; open it again")
        return self._finder

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        finder, published = self.finder, self._store.published
        reopen = partial(Collection.open, model=finder.model_source, use_codes=finder.use_codes)
        if published is None:
            return reopen, (self._place.absolute(),)
        url, limit_bytes = published.reopening()
        return partial(reopen, cache=limit_bytes), (url,)

    def __repr__(self) -> str:
        if self._finder is None:
            return f"<Collection {self._url or self._place}: closed>"
        place = self._url or self._place
        return f"<Collection {place}: {counted(len(self), 'row')} of {self.dim} dimensions>"

    @property
    def projections(self) -> list[str]:
        """The names of the projections; a search can use each as `on`."""
        return find_projections(self._store)

    @cached_property
    def has_safe_mode(self) -> bool:
        """True if safe mode is available: LAION's score `punsafe` or the tag `nsfw` exists."""
        return safe_filter(self.schema) is not None

    @property
    def encoder(self) -> Encoder:
        """The model that made the vectors, loaded on first use.

        Raises
        ------
        MissingFile, Mismatch, DamagedFile
            The model is unknown, missing or damaged, or is not the collection's model.
        """
        return self.finder.encoder

    def query_vector(
        self, query: Query, *, on: str = "image", encoder: TextImageEncoder | None = None
    ) -> NDArray[np.float32]:
        """Return the query vector, shape (dim,), of length 1 unless the collection's metric is `ip`.

        Parameters
        ----------
        encoder
            Encodes texts and pictures. The default is the collection's model.
        query
            The query.
        on
            Vectors to use: image or text.

        Raises
        ------
        InvalidArgument, Mismatch
            A value of the query is invalid.
        """
        return self.finder.query_vector(query, on=on, encoder=encoder)

    @checked
    def nearest(
        self,
        vectors: ArrayLike,
        k: int = DEFAULT_K,
        *,
        on: str = "image",
        metric: Metric | None = None,
        where: str | None = None,
        safe: bool = False,
        exact: bool = False,
        recall: float | None = None,
    ) -> Neighbours:
        """Return the k nearest rows of each vector: `ids, distances = c.nearest(vectors, 10)`.

        Parameters
        ----------
        vectors
            Nonzero vectors (n, dim), or the path of a file of vectors. One vector (dim,) is also
            allowed. A projection also accepts projected rows: float32 (n, N) for pcaN, uint64 (n,
            16) for 1,024 bits.
        k
            Number of rows to find for each vector, 1 to 1,000,000.
        on
            image, text, or the name of a projection: pca96, hamming.
        metric
            `cosine` or `ip`, to be sure: it must be the collection's, which the build chose.
        where
            A SQL predicate over the columns. The search finds k rows if k rows satisfy it.
        safe
            Find only rows known to be safe.
        exact
            Ignore the index (`pairdex.index`); search exactly.
        recall
            Target recall of an index search (default: the one the index was built for).

        Returns
        -------
        Neighbours
            `ids` is int64 (n, k), nearest first; equal distances are sorted by id. It is -1 where
            fewer than k rows qualify. `distances` (n, k) is 1 - cos, or the negative
            inner product if the collection's metric is `ip`; in a projection, the squared
            Euclidean distance or the number of differing bits. It is infinity for an id of -1. It
            is float64; unpacking gives float32. For one vector (dim,), both have shape (k,).
            `report` describes how the search ran; `report.answered.choices` says which ways there
            were, what each was expected to cost and reach, and which was taken. `table` has one row per
            neighbour.

        Raises
        ------
        InvalidArgument, Mismatch
            A value is out of bounds, a vector has another dimension or zero length, or the filter
            is not a valid predicate.
        """
        options = SearchOptions(k=k, on=on, where=where, safe=safe, exact=exact, recall=recall)
        self._check_metric(metric)
        if isinstance(vectors, (str, os.PathLike)):
            return self.finder.nearest(query_set(vectors).vectors, options)
        array = as_array(vectors, field="vectors")
        found = self.finder.nearest(query_array(array, field="vectors"), options)
        if array.ndim == 1:
            return Neighbours(found.ids[0], found.distances[0], found.report)
        return found

    def _check_metric(self, metric: str | None) -> None:
        if metric not in (None, self.metric):
            raise InvalidArgument(
                f"metric is {metric!r}, {self.path} compares vectors by {self.metric}: build its parts "
                "into another collection to change that",
                field="metric",
            )

    @checked
    def prepare(
        self, on: str = "image", *, exact: bool = True, progress: Progress | None = None
    ) -> None:
        """Open what makes searches fast, or build it; otherwise the first search does this.

        Parameters
        ----------
        on
            image, text, or the name of a projection.
        exact
            Also prepare exact searches if an index exists.
        progress
            Called with the step, the number of rows done and the total while codes are built.

        Raises
        ------
        InvalidArgument
            The collection does not have these vectors or this projection.
        """
        self.finder.searcher.prepare(on, exact=exact, progress=at_step(progress, "making codes"))

    def is_prepared(self, on: str = "image") -> bool:
        """Return True if codes are loaded, or none are needed; see `prepare`.

        Parameters
        ----------
        on
            Vectors to use: image or text.
        """
        return self.finder.searcher.is_prepared(on)

    @overload
    def search(
        self, question: list[Any] | tuple[Any, ...], **options: Unpack[SearchKeywords]
    ) -> list[Hits]: ...
    @overload
    def search(
        self, question: Question | None = None, **options: Unpack[SearchKeywords]
    ) -> Hits: ...
    @checked
    def search(
        self,
        question: Question | Sequence[Question] | None = None,
        *,
        text: str | None = None,
        image: Picture | None = None,
        like: int | None = None,
        vector: ArrayLike | None = None,
        unlike: str | None = None,
        terms: Iterable[Term] | None = None,
        k: int = DEFAULT_K,
        offset: int = 0,
        on: str = "image",
        where: str | None = None,
        safe: bool = False,
        keywords: str | None = None,
        hybrid: bool = True,
        sort: str | None = None,
        descending: bool = False,
        after: int | None = None,
        fold: float | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Hits | list[Hits]:
        """Return the k rows nearest to a question: `c.search("a red car")`.

        Without a question, `keywords`, `where` and `sort` choose and order the rows:
        `c.search(where="license = 'CC-BY'", sort="width", descending=True)`.

        Parameters
        ----------
        question
            The query; its type decides its meaning. A str is a text. A Path, bytes or a PIL image
            is a picture. An int is the id of a row. An array (dim,) is a vector. A `Query` is also
            allowed. A list of these, or an array (n, dim), returns a list of results.
        text, image, like, vector, terms
            Alternatives to `question`; give exactly one: a text, a picture (path, bytes or PIL
            image), an id, a vector (dim,), or weighted terms. Unwanted terms have negative weights.
        unlike
            A text whose direction is subtracted from the query vector.
        k
            Number of rows to find, 1 to 1,000,000.
        offset
            Number of nearest rows to skip, for the next page of results.
        on
            image, text, or the name of a projection. The query is projected too.
        where
            A SQL predicate over the columns. The search finds k rows if k rows satisfy it.
        safe
            Find only rows known to be safe. This needs `has_safe_mode`.
        keywords
            Words to find in captions: `dog "red car" -cat`. The result fuses two rankings: by
            vectors and by words (BM25). A quoted phrase must appear; a word after `-` must not. The
            first such search indexes the captions. Without a question, the words alone rank the
            captions that contain any of them; with `sort`, captions must contain all of them.
        hybrid
            Also rank a text by captions that contain its words, if there are any. False: by vectors
            alone.
        sort, descending
            Without a question: the column that orders the rows, or `id` (the default without
            keywords). Equal values are ordered by id; rows without a value come last.
        after
            Without a question: show the rows behind this id, which is the `report.next` of the page
            before. It suits endless scrolling: rows that are removed meanwhile shift nothing.
        fold
            A cosine distance of 0 to 0.5; use 0.06 for near-duplicates. A row within this distance
            of an earlier one is folded into it. The column `folded` lists the ids of folded rows.
            The search finds k different rows if that many exist.
        exact, recall
            As in `nearest`.

        Returns
        -------
        Hits, or a list of Hits for several questions
            Rows, best first, with `id`, `distance`, `similarity` and the metadata columns.
            `report.method` names the method that answered.

        Raises
        ------
        InvalidArgument, Mismatch
            A value is invalid. The error's `field` names it.
        MissingFile, DamagedFile
            The query has a text or picture, and the collection's model is missing or damaged.
        """
        options = SearchOptions(
            k=k,
            offset=offset,
            on=on,
            where=where,
            safe=safe,
            keywords=keywords,
            hybrid=hybrid,
            sort=sort,
            descending=descending,
            after=after,
            fold=fold,
            exact=exact,
            recall=recall,
        )
        if question is None:
            asked = (text, image, like, vector, unlike, terms)
            if options.answers_without_query and all(each is None for each in asked):
                return self.finder.browse(options)
            named = None if terms is None else tuple(terms)
            query = Query(text, image, like, vector, unlike=unlike, terms=named)
            return self.finder.find(query, options)
        given = {"text": text, "image": image, "like": like, "vector": vector, "terms": terms}
        twice = [name for name, value in given.items() if value is not None]
        if twice:
            raise InvalidArgument(f"search takes either a question or {twice[0]}", field=twice[0])
        if is_several(question):
            queries = [as_query(each, unlike=unlike) for each in question]  # type: ignore[union-attr]
            return self.finder.find_all(queries, options)
        return self.finder.find(as_query(question, unlike=unlike), options)

    @checked
    def sql(self, statement: str, *, memory: ByteSize = SQL_MEMORY) -> pa.Table:
        """Run one SELECT over the metadata; see `pairdex.sql`.

        Parameters
        ----------
        statement
            DuckDB's SQL over the table `pairs`.
        memory
            Memory limit of the statement: `2GB`, or bytes.

        Raises
        ------
        InvalidArgument
            The statement is not a single SELECT, or it fails.
        """
        from pairdex.metadata_sql.session import sql  # noqa: PLC0415 - DuckDB loads slowly

        return sql(self, statement, memory=memory)

    def info(self) -> CollectionInfo:
        """Return its content, origin and current derived data; see `pairdex.info`."""
        from pairdex.derived.info import info  # noqa: PLC0415 - knows all kinds of derived data

        return info(self)

    def prepare_keywords(self, *, progress: Progress | None = None) -> KeywordIndex:
        """Index the captions' words; otherwise the first keyword search does this.

        Parameters
        ----------
        progress
            Called with the step, the amount done and the total.

        Raises
        ------
        InvalidArgument, DamagedFile
            The collection lacks captions, or the index is damaged.
        """
        return self.finder.captions.index(progress)

    def find_urls(self, urls: Sequence[str]) -> list[list[int]]:
        """Return the ids of the rows that have each URL; ignore surrounding spaces.

        Parameters
        ----------
        urls
            The URLs to look up.

        Raises
        ------
        InvalidArgument, DamagedFile
            The column `url` is missing, or the table of URLs is damaged.
        """
        return self.finder.find_urls(urls)

    def narrowed(self, where: str | None, *, safe: bool) -> str | None:
        """Combine `where` with safe mode, if requested, into one filter.

        Parameters
        ----------
        safe
            Include only rows known to be safe.

        Raises
        ------
        InvalidArgument
            The filter is not a valid predicate over the columns, or safe mode is unavailable.
        """
        return narrowed(self._store, where, safe=safe)

    @checked
    def facets(
        self, *, where: str | None = None, safe: bool = False, keywords: str | None = None
    ) -> Facets:
        """Return column statistics over the rows that satisfy a filter, and cache them.

        Parameters
        ----------
        where
            A SQL predicate over the columns.
        safe
            Include only rows known to be safe.
        keywords
            Count only the rows that a search with these keywords alone finds.

        Raises
        ------
        InvalidArgument
            The filter is not a valid predicate over the columns, the keywords are invalid, or safe mode
            is unavailable.
        """
        return self.finder.facets(where, safe=safe, keywords=keywords)

    def kind_of(self, on: str) -> VectorField:
        """Return the kind of vectors that a search on `on` compares."""
        return self.finder.kind_of(on)

    def index(self, on: VectorField = "image") -> tuple[InvertedIndex, OperatingPoints] | None:
        """Return the index of the vectors with its operating points, opened once.

        Return None if no usable index exists. Warn if it is damaged or was made from other vectors. The shards
        of a sharded collection have indexes of their own, which this does not return.

        Parameters
        ----------
        on
            Vectors to use: image or text.
        """
        return self.finder.searcher.index(on)

    def examples(self, config: Config = "images") -> Iterator[Example]:
        """Yield the rows with the features of TFDS's `laion400m`; see `pairdex.examples`.

        Parameters
        ----------
        config
            `images` (default) or `embeddings`.
        """
        from pairdex.exports.training.examples import examples  # noqa: PLC0415 - rarely needed

        return examples(self.path, config)


@checked
def open(  # noqa: A001 - pairdex.open, as gzip.open
    path: StrPath,
    *,
    model: StrPath | None = None,
    use_codes: bool = True,
    cache: ByteSize = CACHE,
    progress: Progress | None = None,
) -> Collection:
    """Open the collection in the folder `path`, or read-only at an address; see `Collection.open`.

    Parameters
    ----------
    model
        The name or folder of the model. Needed only if the collection does not record it.
    use_codes
        Use codes in searches; the first search builds them.
    cache
        Largest size of the cache of collections that were opened at addresses: `20GB`, or bytes.
    progress
        At an address: called while whole files are fetched, with the step, the bytes done and the total.
    """
    return Collection.open(path, model=model, use_codes=use_codes, cache=cache, progress=progress)
