"""The rotation that puts most of a row into a few coordinates; fitted to a sample.

First the direction of the rows' mean and, at right angles to it, that from their mean to the mean of
the texts: in CLIP's space both are long and carry little information, so the codes keep them exactly. Then the
principal directions of the remainder. A random rotation mixes the coordinates within the head and
within the rest, so that no single coordinate determines the scale of a row's 8-bit numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pairdex import _native

__all__ = ["fit_basis", "orthogonality_error", "principal_basis", "sample_rows"]

_SAMPLE_ROWS = 16_384  # enough for 2,048 principal directions; read in well under a second
_SEED = 20220331  # any; the day LAION-5B appeared


def sample_rows(blocks: Sequence[NDArray[np.float16]], *, norm: float = 0.0) -> NDArray[np.float32]:
    """Take evenly spaced rows of all blocks, (n, dim) float32.

    Each is divided by its own norm, or all by `norm` if it is not 0. Rows without a direction are skipped.
    """
    total = sum(len(block) for block in blocks)
    step = max(1, total // _SAMPLE_ROWS)
    picked = []
    first = 0  # row to take from the next block
    for block in blocks:
        picked.append(np.asarray(block[first::step], np.float32))
        first = (first - len(block)) % step
    rows = np.concatenate(picked) if picked else np.empty((0, 0), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(rows, axis=1)
    good = np.isfinite(norms) & (norms > 0)
    return np.asarray(rows[good] / (norm or norms[good, None]), np.float32)


def fit_basis(rows: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal directions, (dim, dim) float32, one in each row: mean, gap, head, rest.

    Parameters
    ----------
    rows
        (n, dim) unit rows, a sample.
    texts
        (m, dim) unit rows. If empty, the gap is the first principal direction.
    """
    return _mix(_principal(rows, texts)).astype(np.float32)


def principal_basis(
    rows: NDArray[np.float32], texts: NDArray[np.float32], coded: int
) -> NDArray[np.float32]:
    """Directions of the mean, of the gap, and the `coded` principal ones, (2 + coded, dim) float32.

    The mean of the rows lies along the first, and from it the mean of the texts along the second, in
    its positive direction; the principal ones are mixed among themselves.

    Parameters
    ----------
    rows, texts
        As `fit_basis` takes them.
    """
    basis = _principal(rows, texts)[: 2 + coded]
    centre = rows.mean(axis=0, dtype=np.float64)
    basis[0] *= np.copysign(1.0, basis[0] @ centre)
    if len(texts):
        basis[1] *= np.copysign(1.0, basis[1] @ (texts.mean(axis=0, dtype=np.float64) - centre))
    rng = np.random.default_rng(_SEED)
    basis[2:] = _orthonormal(rng.standard_normal((coded, coded))) @ basis[2:]
    return basis.astype(np.float32)


def _principal(rows: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Directions of the mean and the gap, then the principal directions of the remainder, longest first."""
    dim = rows.shape[1]
    centre = rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(dim)
    kept = [centre]
    if len(texts):
        kept.append(texts.mean(axis=0, dtype=np.float64) - centre)
    directions = _orthonormal(np.array(kept).T)
    inside = rows - centre.astype(np.float32)
    inside -= (inside @ directions.astype(np.float32)) @ directions.T.astype(np.float32)
    _, vectors = np.linalg.eigh((inside.T @ inside).astype(np.float64))
    return _orthonormal(np.hstack([directions, vectors[:, ::-1]]))[:, :dim].T.copy()


def orthogonality_error(basis: NDArray[np.float64]) -> float:
    """Largest difference between the dot of two unit vectors and the dot of their coordinates."""
    return (
        float(np.linalg.norm(basis.T @ basis - np.eye(len(basis)))) + 1e-9
    )  # float64 itself errs by less


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.qr(columns)[0])


def _mix(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate the directions of the head among themselves, and those of the rest likewise."""
    head_dims, rest_dims, _, _ = _native.code_layout(len(basis))
    rng = np.random.default_rng(_SEED)
    head = len(basis) - head_dims - rest_dims
    rest = head + head_dims
    for part in (slice(head, rest), slice(rest, None)):
        size = len(basis[part])
        basis[part] = _orthonormal(rng.standard_normal((size, size))) @ basis[part]
    return basis
