"""Training the demo model: contrastive, with all texts of a batch against all its pictures."""

from __future__ import annotations

import math
import sys
import time
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from demo_model.claims import claim_of, fits, training_text
from demo_model.pictures import GROUP, Group
from demo_model.tokens import BOS, EOT
from demo_model.towers import CONTEXT, Pair
from pairdex.demo.scenes import Scene

BATCH = 256
PEAK_RATE, WARM_UP, WEIGHT_DECAY = 2e-3, 60, 0.05
HARD_SHARE = 0.7  # of the batches are made of whole groups
SHIFT = 2  # pixels that a picture is moved by at most

# Channel statistics of OpenAI's CLIP: the demo model is prepared for as the real ones are.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def train(
    groups: list[Group], pictures: NDArray[np.uint8], tokenizer: Tokenizer, *, steps: int, seed: int
) -> Pair:
    """Return the trained towers, ready to be exported."""
    torch.manual_seed(seed)
    rng = Random(seed)
    eot = tokenizer.token_to_id(EOT)
    pair = Pair(tokenizer.get_vocab_size(), eot)
    print(f"{sum(p.numel() for p in pair.parameters()):,} parameters", file=sys.stderr)
    decayed = [p for p in pair.parameters() if p.ndim > 1]
    rest = [p for p in pair.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0}],
        lr=PEAK_RATE,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    started = time.perf_counter()
    for step in range(steps):
        where = _batch(rng, len(groups))
        scenes = [groups[g][i] for g, i in where]
        ids, wanted = _texts(scenes, tokenizer, rng)
        pixels = _pixels(np.stack([pictures[g, i] for g, i in where]), rng)
        loss = _loss(pair(pixels, ids), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            seconds = time.perf_counter() - started
            print(
                f"step {step + 1}/{steps}: loss {loss.item():.3f}, "
                f"scale {pair.log_scale.exp().item():.1f}, {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return pair.eval()


def _rate(step: int, steps: int) -> float:
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


def _batch(rng: Random, groups: int) -> list[tuple[int, int]]:
    """Return places (group, picture) of one batch."""
    if rng.random() < HARD_SHARE:
        return [(g, i) for g in rng.sample(range(groups), BATCH // GROUP) for i in range(GROUP)]
    return [(g, rng.randrange(GROUP)) for g in rng.sample(range(groups), BATCH)]


def _texts(scenes: list[Scene], tokenizer: Tokenizer, rng: Random) -> tuple[Tensor, Tensor]:
    texts, claims = zip(*(training_text(scene, rng) for scene in scenes), strict=True)
    bos, eot = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOT)
    found = [encoding.ids[: CONTEXT - 2] for encoding in tokenizer.encode_batch(list(texts))]
    ids = torch.zeros(len(found), max(map(len, found)) + 2, dtype=torch.long)
    for row, words in zip(ids, found, strict=True):
        row[: len(words) + 2] = torch.tensor([bos, *words, eot])
    wanted = fits(list(claims), [claim_of(scene) for scene in scenes])
    return ids, torch.from_numpy(wanted)


def _pixels(pictures: NDArray[np.uint8], rng: Random) -> Tensor:
    """Normalise a batch, moved by a few pixels."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    size, left, top = x.shape[-1], rng.randint(0, 2 * SHIFT), rng.randint(0, 2 * SHIFT)
    padded = F.pad(x, (SHIFT,) * 4, mode="replicate")
    return padded[..., top : top + size, left : left + size].contiguous()


def _loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy both ways, the target spread over all that fit."""
    by_text = wanted / wanted.sum(1, keepdim=True)
    by_picture = wanted / wanted.sum(0, keepdim=True)
    texts = -(by_text * logits.log_softmax(1)).sum(1).mean()
    pictures = -(by_picture * logits.log_softmax(0)).sum(0).mean()
    return (texts + pictures) / 2
