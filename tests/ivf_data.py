"""Small data that behaves like CLIP vectors: clustered images in a cone, and texts across a gap."""

import numpy as np

DIM = 144


def image_and_text_rows(rows, seed, centres_seed=0):
    """Two arrays of shape (rows, DIM), float16: images around many centres with a common mean, and texts."""
    centres = np.random.default_rng(centres_seed)
    mean, gap = np.linalg.qr(centres.standard_normal((DIM, 2)))[0].T
    directions = centres.standard_normal((200, DIM)) * np.geomspace(1, 0.05, DIM)
    rng = np.random.default_rng(seed)
    own = directions[rng.integers(0, 200, rows)]
    images = 4 * mean + own + rng.standard_normal((rows, DIM)) * np.geomspace(0.8, 0.05, DIM)
    texts = mean + 3 * gap + own * 0.7 + rng.standard_normal((rows, DIM)) * 0.3
    return tuple(
        (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16) for x in (images, texts)
    )
