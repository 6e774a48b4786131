"""The class that people use: an opened collection, to look at and to search."""

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
from pairdex.progress import Progress, at_step
from pairdex.search.facets import Facets
from pairdex.search.finder import Finder
from pairdex.search.hits import Hits
from pairdex.search.neighbours import DEFAULT_K
from pairdex.search.options import SearchKeywords, SearchOptions
from pairdex.search.query import Picture, Query, Term, TextImageEncoder
from pairdex.search.questions import Question, as_query, is_several
from pairdex.search.safety import narrowed, safe_filter
from pairdex.store.store import Store, VectorField
from pairdex.store.stored_rows import StoredRows
from pairdex.work.sizes import ByteSize

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pairdex.derived.info import CollectionInfo
    from pairdex.encoders.encoder import Encoder
    from pairdex.exports.names import Config
    from pairdex.exports.training.features import Example

__all__ = ["Collection", "open"]

SQL_MEMORY = "2GB"  # what a statement may use


class Collection(StoredRows):
    """An opened collection: `len(c)` rows of `c.dim`-dimensional vectors with metadata.

    It shows one version of the collection: parts that are added later are seen by opening it again.
    Rows that are removed later are gone at once.

    `c[5]` is the row of id 5 as a dictionary; `c[[5, 17]]` and `c[100:200]` (ids, without removed rows)
    are a pyarrow.Table; each has the id and all columns. `for row in c` gives every row, `5 in c` says
    whether there is a row of id 5. Wherever pairdex takes a collection's path, it takes an opened
    collection, too. One that is pickled is opened again where it is unpickled.
    """

    def __init__(self, finder: Finder) -> None:
        super().__init__(finder.store)
        self._finder: Finder | None = finder

    @classmethod
    @checked
    def open(
        cls, path: StrPath, *, model: StrPath | None = None, use_codes: bool = True
    ) -> Collection:
        """Open the collection in the folder `path`.

        Parameters
        ----------
        path
            The folder of the collection.
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
        return cls(Finder(Store(Path(path)), model=model, use_codes=use_codes))

    def reopened(self) -> Collection:
        """Return the collection as it is on disk now; a model that is loaded, and still its, is shared.

        Raises
        ------
        MissingFile, DamagedFile, UnsupportedFormat
            As `open`; also if rows that were removed from this version are present again.
        """
        old = self.finder
        new = Finder(Store(self.path), model=old.model_source, use_codes=old.use_codes)
        newest = Collection(new)
        newest._store.check_follows(self._store)
        is_same = (newest.model, newest.dim) == (self.model, self.dim)
        if is_same and "encoder" in vars(old):
            vars(new)["encoder"] = old.encoder
        return newest

    def close(self) -> None:
        """Let go of its files, indexes and model; any later use but `path` raises InvalidArgument."""
        super().close()
        self._finder = None

    @property
    def finder(self) -> Finder:
        """What answers its questions; for the parts of pairdex that build on it."""
        if self._finder is None:
            raise InvalidArgument(f"the collection {self._place} is closed; open it again")
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
        finder = self.finder
        reopen = partial(Collection.open, model=finder.model_source, use_codes=finder.use_codes)
        return reopen, (self.path.absolute(),)

    def __repr__(self) -> str:
        if self._finder is None:
            return f"<Collection {self._place}: closed>"
        return f"<Collection {self.path}: {len(self):,} rows of {self.dim} dimensions>"

    @property
    def projections(self) -> list[str]:
        """The names of its projections, each of which a search can be `on`."""
        return find_projections(self._store)

    @cached_property
    def has_safe_mode(self) -> bool:
        """Whether its columns tell which rows are safe: LAION's score `punsafe`, or the tag `nsfw`."""
        return safe_filter(self.schema) is not None

    @property
    def encoder(self) -> Encoder:
        """The model that made the vectors, loaded when it is first needed.

        Raises
        ------
        MissingFile, Mismatch, DamagedFile
            No model is known or found, or it is another than the collection's.
        """
        return self.finder.encoder

    def query_vector(
        self, query: Query, *, on: str = "image", encoder: TextImageEncoder | None = None
    ) -> NDArray[np.float32]:
        """Return the vector (dim,) that a query is searched with, of unit length.

        Parameters
        ----------
        encoder
            Encodes texts and pictures instead of the collection's own model.
        query
            What is searched for.
        on
            image or text: which vectors.

        Raises
        ------
        InvalidArgument, Mismatch
            A value of the query cannot be used.
        """
        return self.finder.query_vector(query, on=on, encoder=encoder)

    @checked
    def nearest(
        self,
        vectors: ArrayLike,
        k: int = DEFAULT_K,
        *,
        on: str = "image",
        where: str | None = None,
        safe: bool = False,
        exact: bool = False,
        recall: float | None = None,
    ) -> Neighbours:
        """Return the k nearest rows of each vector: `ids, distances = c.nearest(vectors, 10)`.

        Parameters
        ----------
        vectors
            Shape (n, dim), of any length but zero, or the path of a file of them; in a projection also
            rows that are projected already, float32 (n, N) for pcaN, uint64 (n, 16) for 1,024 bits.
            One vector (dim,) is allowed, too.
        k
            How many rows to find for each, 1 to 1,000,000.
        on
            image, text, or the name of a projection: pca96, hamming.
        where
            A SQL predicate over the columns; k rows are found if k rows satisfy it.
        safe
            Find only rows that are known to be safe.
        exact
            Ignore the index (`pairdex.index`); search exactly.
        recall
            Target recall of a search by the index; by default the one the index was built for.

        Returns
        -------
        Neighbours
            `ids` int64 (n, k), nearest first, equal distances by smaller id; -1 where fewer than k rows
            qualify. `distances` (n, k): 1 - cos, in a projection the squared Euclidean distance or the
            number of differing bits; infinity beside an id of -1. They are float64; unpacking gives
            float32. For one vector (dim,) both are (k,). `report` says how the answer was found, `table`
            has a row for each neighbour.

        Raises
        ------
        InvalidArgument, Mismatch
            A value out of bounds; vectors of another dimension or without a direction; a filter that
            is not a predicate.
        """
        options = SearchOptions(k=k, on=on, where=where, safe=safe, exact=exact, recall=recall)
        if isinstance(vectors, (str, os.PathLike)):
            return self.finder.nearest(query_set(vectors).vectors, options)
        array = as_array(vectors, field="vectors")
        found = self.finder.nearest(query_array(array, field="vectors"), options)
        if array.ndim == 1:
            return Neighbours(found.ids[0], found.distances[0], found.report)
        return found

    @checked
    def prepare(
        self, on: str = "image", *, exact: bool = True, progress: Progress | None = None
    ) -> None:
        """Open what makes searches fast, building it if need be; otherwise the first search does it.

        Parameters
        ----------
        on
            image, text, or the name of a projection.
        exact
            Whether exact searches are to be fast, too, where there is an index.
        progress
            Called with the step, the rows done and the rows in all while codes are built.

        Raises
        ------
        InvalidArgument
            There are neither such vectors nor such a projection.
        """
        self.finder.searcher.prepare(on, exact=exact, progress=at_step(progress, "making codes"))

    def is_prepared(self, on: str = "image") -> bool:
        """Whether searches are as fast as `prepare` makes them.

        Parameters
        ----------
        on
            image or text: which vectors.
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
        fold: float | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Hits | list[Hits]:
        """Return the k rows nearest to a question: `c.search("a red car")`.

        Parameters
        ----------
        question
            What is searched for; its type says what it is. A str is a text; a Path, bytes or a PIL
            image is a picture; an int is the id of a row; an array (dim,) is a vector; a `Query` is
            itself. A list of these, or an array (n, dim), gives a list of answers.
        text, image, like, vector, terms
            The same by name instead, exactly one of them: a text, a picture (path, bytes or PIL
            image), an id, a vector (dim,), or terms with weights, negative for what is not wanted.
        unlike
            A text whose direction is taken from the question's.
        k
            How many rows to find, 1 to 1,000,000.
        offset
            How many of the nearest rows to leave out, for the next page of results.
        on
            image, text, or the name of a projection, in which the question is projected, too.
        where
            A SQL predicate over the columns; k rows are found if k rows satisfy it.
        safe
            Find only rows that are known to be safe; `has_safe_mode` says whether that can be known.
        keywords
            Words that captions should have: `dog "red car" -cat`. Rows are ordered by both rankings,
            by vectors and by words (BM25), fused; a quoted phrase must appear, a word after `-` must
            not. The first such search indexes the captions.
        fold
            A cosine distance of 0 to 0.5, 0.06 for near-duplicates: a row within it of an earlier one is
            folded into that one; the ids of such rows are the column `folded`. k different rows are
            found if there are that many.
        exact, recall
            As in `nearest`.

        Returns
        -------
        Hits, or a list of Hits for several questions
            Rows, nearest first, with `id`, `distance`, `similarity` and the metadata columns.

        Raises
        ------
        InvalidArgument, Mismatch
            A value that cannot be used; its name is the error's `field`.
        MissingFile, DamagedFile
            A text or picture is searched for, and the collection's model is not at hand, or damaged.
        """
        options = SearchOptions(
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
        if question is None:
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
        """Run one SELECT over its metadata; see `pairdex.sql`.

        Parameters
        ----------
        statement
            DuckDB's SQL over the table `pairs`.
        memory
            What the statement may use: `2GB`, or bytes.

        Raises
        ------
        InvalidArgument
            Not one SELECT, or it fails.
        """
        from pairdex.metadata_sql.session import sql  # noqa: PLC0415 - DuckDB loads slowly

        return sql(self, statement, memory=memory)

    def info(self) -> CollectionInfo:
        """Say what it holds, where it came from, and which derived data it has now; see `pairdex.info`."""
        from pairdex.derived.info import info  # noqa: PLC0415 - knows all kinds of derived data

        return info(self)

    def prepare_keywords(self, *, progress: Progress | None = None) -> KeywordIndex:
        """Index the captions' words, once; otherwise the first search for keywords does it.

        Parameters
        ----------
        progress
            Called with the step, the amount done and the total.

        Raises
        ------
        InvalidArgument, DamagedFile
            There are no captions; the index is damaged.
        """
        return self.finder.keywords(progress)

    def find_urls(self, urls: Sequence[str]) -> list[list[int]]:
        """Return the ids of the rows that have each URL, exactly but for spaces around it.

        Parameters
        ----------
        urls
            URLs.

        Raises
        ------
        InvalidArgument, DamagedFile
            There is no column `url`; the table of URLs is damaged.
        """
        return self.finder.find_urls(urls)

    def narrowed(self, where: str | None, *, safe: bool) -> str | None:
        """Return a filter that holds for the safe rows, or for all, that satisfy `where`.

        Parameters
        ----------
        safe
            Only rows that are known to be safe.

        Raises
        ------
        InvalidArgument
            Not a predicate over the columns; no column that says which rows are safe.
        """
        return narrowed(self._store, where, safe=safe)

    @checked
    def facets(self, *, where: str | None = None, safe: bool = False) -> Facets:
        """Return what each column holds among the rows that satisfy a filter; kept for the next time.

        Parameters
        ----------
        where
            A SQL predicate over the columns.
        safe
            Only rows that are known to be safe.

        Raises
        ------
        InvalidArgument
            Not a predicate over the columns; no column that says which rows are safe.
        """
        return self.finder.facets(where, safe=safe)

    def kind_of(self, on: str) -> VectorField:
        """Return the kind of vectors that a search `on` something compares, in the end."""
        return self.finder.kind_of(on)

    def index(self, on: VectorField = "image") -> tuple[InvertedIndex, OperatingPoints] | None:
        """Return the approximate index of its vectors with its operating points, opened once.

        None where there is none; where it is damaged or of other vectors, a warning says so.

        Parameters
        ----------
        on
            image or text: which vectors.
        """
        return self.finder.searcher.index(on)

    def examples(self, config: Config = "images") -> Iterator[Example]:
        """Yield its rows with the features of TFDS's `laion400m`; see `pairdex.examples`.

        Parameters
        ----------
        config
            `images` (default) or `embeddings`.
        """
        from pairdex.exports.training.examples import examples  # noqa: PLC0415 - rarely needed

        return examples(self.path, config)


@checked
def open(  # noqa: A001 - pairdex.open, as gzip.open
    path: StrPath, *, model: StrPath | None = None, use_codes: bool = True
) -> Collection:
    """Open the collection in the folder `path`; see `Collection.open`.

    Parameters
    ----------
    model
        The name or folder of the model, where the collection does not say.
    use_codes
        Whether searches use codes, which the first one builds.
    """
    return Collection.open(path, model=model, use_codes=use_codes)
