"""A collection as a PyTorch Dataset: batches of vectors and captions, read straight from its files.

    python torch_dataset.py COLLECTION

Needs pairdex and torch. Vectors are memory-mapped: all workers of a DataLoader read the same pages. A
batch is fetched at once (`__getitems__`), not row by row.
"""

import sys

import torch
from torch.utils.data import DataLoader, Dataset

import pairdex


class Pairs(Dataset):
    """The rows of a collection: image vector, text vector, caption."""

    def __init__(self, path):
        self.path = path
        self.collection = pairdex.open(path)
        self.images = self.collection.vectors("image")
        self.texts = self.collection.vectors("text")

    def __len__(self):
        return len(self.images)

    def __getitems__(self, ids):
        images, texts = torch.from_numpy(self.images[ids]), torch.from_numpy(self.texts[ids])
        captions = self.collection.take(ids, ["caption"])["caption"].to_pylist()
        return list(zip(images, texts, captions, strict=True))

    def __getitem__(self, row):
        return self.__getitems__([row])[0]

    def __getstate__(self):  # a worker opens the files itself
        return {"path": self.path}

    def __setstate__(self, state):
        self.__init__(state["path"])


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
