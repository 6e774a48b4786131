"""Pictures made ready for a model ahead of it, in order, by threads or by processes.

The number of pictures that wait is bounded: the model sets the pace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.model import ImageSpec
from pairdex.encoders.pictures import open_picture
from pairdex.encoders.preprocess import fitted
from pairdex.encoders.sources import Place, Sample
from pairdex.errors import DamagedFile, PairdexError
from pairdex.work.process_pool import ctrl_c_blocked, process_pool

__all__ = ["Decoded", "Decoder", "Failure", "decoder"]

_GROUP = 8  # pictures handed over at once, so that handing over costs little
_AHEAD = 16  # groups decoded ahead: 20 MB at 224 pixels, enough to keep a model busy


@dataclass(frozen=True)
class Failure:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A picture ready for the model: `levels` of shape (size, size, 3), and its size as it was."""

    sample: Sample
    levels: NDArray[np.uint8]
    width: int
    height: int


_Outcome = tuple[NDArray[np.uint8], int, int] | str  # or the reason why there is none


class Decoder:
    """Decodes samples with the help of an executor."""

    def __init__(self, executor: Executor, spec: ImageSpec) -> None:
        self._executor = executor
        self._spec = spec

    def decoded(self, samples: Sequence[Sample]) -> Iterator[Decoded | Failure]:
        """Yield each sample's picture, or why there is none, in order."""
        waiting: deque[tuple[Sequence[Sample], Future[list[_Outcome]]]] = deque()
        try:
            for start in range(0, len(samples), _GROUP):
                group = samples[start : start + _GROUP]
                with ctrl_c_blocked():
                    waiting.append((group, self._executor.submit(_outcomes, group, self._spec)))
                if len(waiting) > _AHEAD:
                    yield from _results(*waiting.popleft())
            while waiting:
                yield from _results(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


@contextmanager
def decoder(spec: ImageSpec, *, workers: int, threads: int) -> Iterator[Decoder]:
    """Give a decoder of `workers` processes or, where that is 0, of `threads` threads of this one.

    Raises
    ------
    WriteFailed
        A worker was ended from outside.
    """
    if workers:
        with process_pool(workers) as pool:
            yield Decoder(pool, spec)
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield Decoder(pool, spec)


def _results(
    group: Sequence[Sample], future: Future[list[_Outcome]]
) -> Iterator[Decoded | Failure]:
    for sample, outcome in zip(group, future.result(), strict=True):
        if isinstance(outcome, str):
            yield Failure(sample.name, outcome)
        else:
            yield Decoded(sample, *outcome)


def _outcomes(samples: Sequence[Sample], spec: ImageSpec) -> list[_Outcome]:
    return [_outcome(sample, spec) for sample in samples]


def _outcome(sample: Sample, spec: ImageSpec) -> _Outcome:
    if sample.place is None:
        return sample.reason
    try:
        sample.name.encode()
        picture = open_picture(_opened(sample.place))
        return fitted(picture, spec), picture.width, picture.height
    except UnicodeEncodeError:
        return f"{sample.name!a} is no UTF-8 name; rename the file"
    except PairdexError as error:
        return str(error)


def _opened(place: Place) -> Path | BytesIO:
    if place.size is None:
        return Path(place.path)
    try:
        with Path(place.path).open("rb") as file:
            file.seek(place.offset)
            data = file.read(place.size)
    except OSError as error:
        raise DamagedFile(f"{place.path} cannot be read: {error.strerror}") from error
    return BytesIO(data)
