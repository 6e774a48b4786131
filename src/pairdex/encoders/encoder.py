"""Run a model: encode texts and pictures as unit vectors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from PIL import Image

from pairdex.encoders.graph import check_graph
from pairdex.encoders.model import Model
from pairdex.encoders.preprocess import preprocess
from pairdex.encoders.text import MAX_TEXT_CHARS, TextTokenizer, check_text
from pairdex.errors import DamagedFile, InvalidArgument, MissingExtra
from pairdex.files.boundary import FOREIGN_ERRORS, reason_of
from pairdex.work.processors import usable_processors

__all__ = ["DEFAULT_DEVICE", "Device", "Encoder"]

Device = Literal["auto", "cpu", "cuda"]
DEFAULT_DEVICE: Device = "auto"

IMAGE_BATCH = 32  # pictures in one run: more gains nothing on a CPU and costs memory (L/14: 1 GB)
GPU_IMAGE_BATCH = 256  # a GPU is busy with fewer only part of the time
TEXT_BATCH = 256  # texts in one run, all of similar length

_GPU = "CUDAExecutionProvider"
_QUIET = 3  # onnxruntime's severity "error": its warnings are for those who export models
# All of onnxruntime's own kinds, and Python's about a graph of other inputs and outputs than ours.
_UNUSABLE = (
    *(
        kind
        for kind in vars(ort_errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    *FOREIGN_ERRORS,
)
_LENGTH_ERROR = 0.01  # of the length of a unit vector


class Encoder:
    """A model ready to run; each tower is loaded on first use.

    Parameters
    ----------
    model
        From `load_model`.
    device
        `auto` uses a GPU if onnxruntime has one.
    threads
        Threads for one run; None for all processors of this process.
    """

    def __init__(
        self, model: Model, *, device: Device = DEFAULT_DEVICE, threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise InvalidArgument(f"threads is {threads}, expected at least 1", field="threads")
        self.model = model
        self.threads = threads or usable_processors()
        self._device = device
        self._providers = _providers(device)
        self.seconds = 0.0  # spent in loading and running the model so far

    @property
    def dim(self) -> int:
        """The dimension of its vectors."""
        return self.model.dim

    @property
    def image_batch(self) -> int:
        """Number of pictures per run of the model."""
        return GPU_IMAGE_BATCH if self._providers[0] == _GPU else IMAGE_BATCH

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts as queries.

        Returns
        -------
        NDArray[np.float32]
            Shape (n, dim), of unit length.

        Raises
        ------
        InvalidArgument
            A text is empty or longer than `MAX_TEXT_CHARS`.
        """
        for text in texts:
            check_text(text)
        return _usable(self._encode_texts(texts), self.model.text_file)

    def encode_captions(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Encode captions: empty captions are allowed, long captions are truncated.

        Returns
        -------
        NDArray[np.float32]
            Shape (n, dim), of unit length.
        """
        return self._encode_texts([caption[:MAX_TEXT_CHARS] for caption in captions])

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Encode pictures of any size and mode.

        Returns
        -------
        NDArray[np.float32]
            Shape (n, dim), of unit length.
        """
        size = self.model.image.size
        vectors = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.image_batch):
            batch = images[start : start + self.image_batch]
            pixels = np.empty((len(batch), 3, size, size), np.float32)
            for i, image in enumerate(batch):
                pixels[i] = preprocess(image, self.model.image)
            vectors[start : start + len(batch)] = self.encode_pixels(pixels)
        return _usable(vectors, self.model.vision_file)

    def encode_pixels(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode one batch of preprocessed pictures.

        Parameters
        ----------
        pixels
            Shape (n, 3, size, size).

        Returns
        -------
        NDArray[np.float32]
            Shape (n, dim), of unit length.
        """
        return self._run(self._vision, self.model.vision_file, pixels)

    def _encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        ids = self._tokenizer.ids(texts)
        vectors = np.empty((len(ids), self.dim), np.float32)
        for rows in _batches_by_length([len(row) for row in ids]):
            padded = self._padded([ids[row] for row in rows])
            vectors[rows] = self._run(self._text, self.model.text_file, padded)
        return vectors

    def _padded(self, ids: list[list[int]]) -> NDArray[np.int64]:
        spec = self.model.text
        longest = max(len(row) for row in ids)
        length = longest if spec.pad == "dynamic" else spec.context_length
        padded = np.full((len(ids), length), spec.pad_id, np.int64)
        for i, row in enumerate(ids):
            padded[i, : len(row)] = row
        return padded

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        return TextTokenizer(self.model)

    @cached_property
    def _text(self) -> ort.InferenceSession:
        return self._opened(self.model.text_file)

    @cached_property
    def _vision(self) -> ort.InferenceSession:
        return self._opened(self.model.vision_file)

    def _opened(self, path: Path) -> ort.InferenceSession:
        check_graph(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        # Threads that wait for the next run must not keep processors busy: a single text took three times the time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        started = time.perf_counter()
        try:
            session = ort.InferenceSession(str(path), options, providers=self._providers)
        except _UNUSABLE as error:
            raise _unusable(path, error) from error
        if self._device == "cuda" and _GPU not in session.get_providers():
            raise MissingExtra(
                "the device is cuda, but onnxruntime cannot load its libraries; "
                "pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        self.seconds += time.perf_counter() - started
        return session

    def _run(
        self, session: ort.InferenceSession, path: Path, batch: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Run one tower on a batch and scale its output to unit length."""
        started = time.perf_counter()
        try:
            name = session.get_inputs()[0].name
            with np.errstate(all="ignore"):
                vectors = np.asarray(session.run(None, {name: batch})[0], np.float32)
        except _UNUSABLE as error:
            raise _unusable(path, error) from error
        self.seconds += time.perf_counter() - started
        if vectors.shape != (len(batch), self.dim):
            raise DamagedFile(
                f"{path} gives vectors of shape {vectors.shape}, model.json says "
                f"{(len(batch), self.dim)}; export the model again"
            )
        with np.errstate(all="ignore"):  # of the rows that `_usable` and `build` refuse
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            return np.asarray(vectors / lengths, np.float32)


def _usable(vectors: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Check the vectors of queries: zeros and non-finite rows cannot be searched for.

    Raises
    ------
    DamagedFile
        The model gave zeros or numbers that are not finite for a row.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < _LENGTH_ERROR))
    if len(wrong):
        raise DamagedFile(
            f"{path} gives zeros or numbers that are not finite for row {wrong[0]} of {len(vectors)}: "
            "the model is damaged; export it again"
        )
    return vectors


def _batches_by_length(lengths: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of each batch, grouped by similar length to reduce padding."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), TEXT_BATCH):
        yield order[start : start + TEXT_BATCH]


def _providers(device: Device) -> list[str]:
    has_gpu = _GPU in ort.get_available_providers()
    if device == "cuda" and not has_gpu:
        raise MissingExtra(
            "the device is cuda, but this onnxruntime runs on the CPU only; "
            "pip install onnxruntime-gpu"
        )
    on_gpu = has_gpu and device != "cpu"
    return [*([_GPU] if on_gpu else []), "CPUExecutionProvider"]


def _unusable(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path} cannot be run: {reason_of(error)}; export the model again")
