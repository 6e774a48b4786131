"""A collection as a PyTorch Dataset: batches of vectors and captions, read straight from its files.

    python torch_dataset.py COLLECTION

Needs pairdex and torch. Vectors are memory-mapped: all workers of a DataLoader read the same pages. A
batch is fetched at once (`__getitems__`), not row by row. Removed rows are left out.
"""

import sys

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import pairdex


class Pairs(Dataset):
    """The rows of a collection that were not removed: image vector, text vector, caption.

    It pickles: a worker opens the files itself and sees the rows that were there in the beginning.
    """

    def __init__(self, path):
        self.collection = pairdex.open(path)
        live = self.collection.live
        count = len(self.collection.vectors("image"))
        self.ids = np.arange(count) if live is None else np.flatnonzero(live)

    def __len__(self):
        return len(self.ids)

    def __getitems__(self, places):
        ids = self.ids[places]
        images, texts = (
            torch.from_numpy(self.collection.vectors(on)[ids]) for on in ("image", "text")
        )
        captions = self.collection.take(ids, ["caption"])["caption"].to_pylist()
        return list(zip(images, texts, captions, strict=True))

    def __getitem__(self, place):
        return self.__getitems__([place])[0]


def mean_similarity(path, workers=0):
    """Return the mean cosine of image and text vectors, as a training loop would go over them."""
    loader = DataLoader(
        Pairs(path),
        batch_size=256,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    total = 0.0
    for images, texts, _captions in loader:
        total += torch.cosine_similarity(images.float(), texts.float()).sum().item()
    return total / len(loader.dataset)


if __name__ == "__main__":
    print(f"mean similarity of image and text: {mean_similarity(sys.argv[1], workers=2):.3f}")
