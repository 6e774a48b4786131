"""Which share of the time the model has when pictures are encoded, and how the ways of decoding compare.

    python benchmarks/encode.py [--pictures 320] [--size 600x450] [--json]

Makes photograph-like JPEGs (600 x 450 is what img2dataset stores of many web pictures), in a folder and
in a WebDataset tar, and a random model of ViT-B/32's size, exported as any other (it takes PyTorch and
transformers). Encodes them with threads and with processes, in float32 and int8. The target is a model
share of at least 90 % for ViT-B/32 in float32 on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pairdex.encoders.decoding import decoder
from pairdex.encoders.encode import encode
from pairdex.encoders.export.export import export_model
from pairdex.encoders.export.tokenizers import clip_tokenizer
from pairdex.encoders.model import load_model
from pairdex.encoders.open_source import open_source
from pairdex.work.processors import usable_processors

CAPTION = "a photograph of number {} with a few more words about what can be seen in it"


RUNS = (  # model, source, processes that decode
    ("float32", "pictures", 0),
    ("float32", "tar", 0),
    ("float32", "pictures", 2),
    ("int8", "pictures", 0),
    ("int8", "pictures", 2),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--size", default="600x450")
    parser.add_argument("--only", type=int, default=len(RUNS), help="how many of the runs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        draw(root / "pictures", arguments.pictures, width, height)
        pack(root / "pictures", root / "tar" / "00000.tar")
        models = make_models(root)
        runs = [one_run(root, *run) for run in RUNS[: arguments.only]]
        decoding = {workers: decode_only(root, workers) for workers in (0, 2)}
    report(arguments, models, runs, decoding)


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """Smooth colours with some noise: they compress, decode and scale like photographs."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        smooth = np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        )
        noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:05d}.jpg", quality=90)
        (folder / f"{i:05d}.txt").write_text(CAPTION.format(i))


def pack(folder: Path, path: Path) -> None:
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)


def make_models(root: Path) -> dict[str, float]:
    """Export a random ViT-B/32; return the megabytes of each form."""
    import torch  # noqa: PLC0415 - after the message of --help
    from transformers import CLIPConfig, CLIPModel  # noqa: PLC0415

    torch.manual_seed(0)
    source = root / "published"
    CLIPModel(CLIPConfig()).save_pretrained(source)
    (source / "tokenizer.json").write_bytes(clip_tokenizer(source))
    export_model(source, root / "float32")
    export_model(source, root / "int8", int8=True)
    shutil.rmtree(source)
    return {name: size_of(root / name) for name in ("float32", "int8")}


def size_of(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*.onnx")) / 1e6


def one_run(root: Path, model: str, source: str, workers: int) -> dict[str, object]:
    parts = root / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    result = encode(root / source, parts, model=root / model, workers=workers)
    return {
        "model": model,
        "source": source,
        "decoded by": f"{workers} processes" if workers else "threads",
        "pictures": result.rows,
        "seconds": result.seconds,
        "per_second": result.rows / result.seconds,
        "model_share": result.model_seconds / result.seconds,
    }


def decode_only(root: Path, workers: int) -> float:
    """Return pictures a second, without a model."""
    source = open_source(root / "pictures")
    samples = source.samples(0, len(source))
    with decoder(
        load_model(root / "int8").image, workers=workers, threads=usable_processors()
    ) as one:
        list(one.decoded(samples[:16]))  # the processes have started
        started = time.perf_counter()
        found = len(list(one.decoded(samples)))
        return found / (time.perf_counter() - started)


def report(
    arguments: argparse.Namespace,
    models: dict[str, float],
    runs: list[dict[str, object]],
    decoding: dict[int, float],
) -> None:
    if arguments.json:
        print(json.dumps({"megabytes": models, "runs": runs, "decoding_per_second": decoding}))
        return
    print(
        f"{arguments.pictures} JPEGs of {arguments.size} with captions, {usable_processors()} processors"
    )
    print("onnx files: " + ", ".join(f"{name} {size:.0f} MB" for name, size in models.items()))
    for run in runs:
        print(
            f"{run['model']:8} {run['source']:9} {run['decoded by']:12} {run['per_second']:6.1f}/s, "
            f"model {run['model_share']:.1%} of {run['seconds']:.1f} s"
        )
    for workers, speed in decoding.items():
        print(f"decoding alone, {f'{workers} processes' if workers else 'threads'}: {speed:.0f}/s")


if __name__ == "__main__":
    main()
