"""Train the demo model, write its folder, and measure it: see docs/demo-model.md."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from demo_model.export import export
from demo_model.measure import measure
from demo_model.pictures import draw_pool
from demo_model.tokens import train_tokenizer
from demo_model.towers import IMAGE_SIZE
from demo_model.train import train

from pairdex.encoders.encoder import Encoder
from pairdex.encoders.model import load_model

GROUPS = 14_000
STEPS = 1_800
SEED = 20_260_101
FOLDER = Path(__file__).parents[1] / "src/pairdex/demo/model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the model goes")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--groups", type=int, default=GROUPS, help="of 8 training pictures")
    parser.add_argument("--measure-only", action="store_true", help="measure the model in --folder")
    options = parser.parse_args()
    if not options.measure_only:
        started = time.perf_counter()
        tokenizer = train_tokenizer(SEED)
        groups, pictures = draw_pool(options.groups, SEED, IMAGE_SIZE)
        print(f"drawn in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        pair = train(groups, pictures, tokenizer, steps=options.steps, seed=SEED)
        export(pair, tokenizer, options.folder)
        print(f"trained in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    for what, figure in measure(Encoder(load_model(options.folder)), SEED + 1).items():
        print(f"{what}: {figure:.4f}")


if __name__ == "__main__":
    main()
