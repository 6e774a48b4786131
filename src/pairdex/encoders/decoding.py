"""Decode pictures ahead of the model, in order, in threads or processes.

The queue of decoded pictures is bounded, so decoding keeps pace with the model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.exif import Facts, facts_of
from pairdex.encoders.model import ImageSpec
from pairdex.encoders.pictures import Orientation, open_picture
from pairdex.encoders.preprocess import fitted
from pairdex.encoders.sources import Place, Sample, not_utf8
from pairdex.errors import DamagedFile, PairdexError
from pairdex.files import checksums
from pairdex.work.process_pool import ctrl_c_blocked, process_pool

__all__ = ["Decoded", "Decoder", "DecodingRules", "Failure", "decoder"]

_GROUP = 8  # pictures per task, to keep the overhead small
_AHEAD = 16  # groups decoded ahead: 20 MB at 224 pixels, enough to keep a model busy


@dataclass(frozen=True)
class Failure:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A picture ready for the model: `levels` of shape (size, size, 3), and its original size.

    `content` is the checksum of its file, if requested.
    """

    sample: Sample
    levels: NDArray[np.uint8]
    width: int
    height: int
    facts: Facts
    content: str | None


@dataclass(frozen=True)
class DecodingRules:
    """Decoding options; `hashed` adds the checksums of the files."""

    spec: ImageSpec
    orientation: Orientation = "upright"
    hashed: bool = False


# levels, width, height, facts, content; or the reason of the failure
_Outcome = tuple[NDArray[np.uint8], int, int, Facts, str | None] | str


class Decoder:
    """Decodes samples with an executor."""

    def __init__(self, executor: Executor, rules: DecodingRules) -> None:
        self._executor = executor
        self._rules = rules

    def decoded(self, samples: Sequence[Sample]) -> Iterator[Decoded | Failure]:
        """Yield each sample's picture, or the reason of its failure, in order."""
        waiting: deque[tuple[Sequence[Sample], Future[list[_Outcome]]]] = deque()
        try:
            for start in range(0, len(samples), _GROUP):
                group = samples[start : start + _GROUP]
                with ctrl_c_blocked():
                    waiting.append((group, self._executor.submit(_outcomes, group, self._rules)))
                if len(waiting) > _AHEAD:
                    yield from _results(*waiting.popleft())
            while waiting:
                yield from _results(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


@contextmanager
def decoder(rules: DecodingRules, *, workers: int, threads: int) -> Iterator[Decoder]:
    """Yield a decoder with `workers` processes; if 0, with `threads` threads of this process.

    Raises
    ------
    WriteFailed
        A worker process was killed.
    """
    if workers:
        with process_pool(workers) as pool:
            yield Decoder(pool, rules)
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield Decoder(pool, rules)


def _results(
    group: Sequence[Sample], future: Future[list[_Outcome]]
) -> Iterator[Decoded | Failure]:
    for sample, outcome in zip(group, future.result(), strict=True):
        if isinstance(outcome, str):
            yield Failure(sample.name, outcome)
        else:
            yield Decoded(replace(sample, place=None), *outcome)


def _outcomes(samples: Sequence[Sample], rules: DecodingRules) -> list[_Outcome]:
    return [_outcome(sample, rules) for sample in samples]


def _outcome(sample: Sample, rules: DecodingRules) -> _Outcome:
    if sample.place is None:
        return sample.reason
    if trouble := not_utf8(sample.name):
        return trouble
    try:
        source = _opened(sample.place)
        picture = open_picture(source, orientation=rules.orientation)
        content = _content(source) if rules.hashed else None
        levels = fitted(picture, rules.spec)
        return levels, picture.width, picture.height, facts_of(picture), content
    except PairdexError as error:
        return str(error)


def _content(source: Path | BytesIO) -> str:
    if isinstance(source, BytesIO):
        return checksums.of_bytes(source.getvalue())
    try:
        return checksums.of_file(source)
    except OSError as error:
        raise DamagedFile(f"{source} cannot be read: {error.strerror}") from error


def _opened(place: Place) -> Path | BytesIO:
    if place.data is not None:
        return BytesIO(place.data)
    if place.size is None:
        return Path(place.path)
    try:
        with Path(place.path).open("rb") as file:
            file.seek(place.offset)
            data = file.read(place.size)
    except OSError as error:
        raise DamagedFile(f"{place.path} cannot be read: {error.strerror}") from error
    return BytesIO(data)
