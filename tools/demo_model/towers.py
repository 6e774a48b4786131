"""The two towers of the demo model: a small convolutional stem with attention, a causal text tower."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

DIM = 64  # of the vectors
WIDTH = 96  # of both towers
HEADS = 4
MLP_RATIO = 2
TEXT_LAYERS = 2
STEM = (24, 48, WIDTH)  # channels; each stage halves the picture's side
IMAGE_SIZE = 48
CONTEXT = 32  # tokens, the two marks included


class Attention(nn.Module):
    """One transformer layer, normalised before each half."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = (
            nn.Linear(WIDTH, MLP_RATIO * WIDTH),
            nn.Linear(MLP_RATIO * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix rows of tokens (batch, length, WIDTH); `mask` is added to the attention scores."""
        rows, length, _ = x.shape
        heads = self.qkv(self.norm1(x)).reshape(rows, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        if mask is not None:
            scores = scores + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, WIDTH)
        x = x + self.out(mixed)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Residual(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, height, width)."""
        return F.relu(x + self.body(x))


class Vision(nn.Module):
    """Pixels (batch, 3, 48, 48) to vectors (batch, 64)."""

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, after in pairwise((3, *STEM)):
            stages += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                Residual(after),
            ]
        self.stem = nn.Sequential(*stages)
        cells = (IMAGE_SIZE >> len(STEM)) ** 2
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.position = nn.Parameter(torch.randn(1, cells + 1, WIDTH) * 0.02)
        self.layer, self.norm = Attention(), nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, DIM, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return one vector a picture, of any length."""
        cells = self.stem(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(cells.shape[0], -1, -1), cells], 1) + self.position
        return self.project(self.norm(self.layer(x)[:, 0]))


class Text(nn.Module):
    """Token ids (batch, length) to vectors (batch, 64), read at the first end mark.

    The mask is causal, so what stands after the end mark changes nothing: any length will do.
    """

    def __init__(self, vocabulary: int, eot_id: int) -> None:
        super().__init__()
        self.eot_id = eot_id
        self.embed = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.position = nn.Parameter(torch.randn(CONTEXT, WIDTH) * 0.01)
        self.layers = nn.ModuleList(Attention() for _ in range(TEXT_LAYERS))
        self.norm, self.project = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, DIM, bias=False)
        mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return one vector a text, of any length."""
        length = ids.shape[1]
        x = self.embed(ids) + self.position[:length]
        for layer in self.layers:
            x = layer(x, self.mask[:length, :length])
        end = (ids == self.eot_id).int().argmax(-1)
        at_end = x.gather(1, end[:, None, None].expand(-1, 1, WIDTH))[:, 0]
        return self.project(self.norm(at_end))


class Pair(nn.Module):
    """Both towers and the learned scale of their cosines."""

    def __init__(self, vocabulary: int, eot_id: int) -> None:
        super().__init__()
        self.vision, self.text = Vision(), Text(vocabulary, eot_id)
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def forward(self, pixels: Tensor, ids: Tensor) -> Tensor:
        """Return the scaled cosines, shape (texts, pictures)."""
        images = F.normalize(self.vision(pixels), dim=-1)
        texts = F.normalize(self.text(ids), dim=-1)
        return self.log_scale.exp().clamp(max=50) * texts @ images.T
