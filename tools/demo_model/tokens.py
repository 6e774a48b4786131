"""The demo model's tokenizer: a byte-level BPE in CLIP's exact form, trained on captions."""

from __future__ import annotations

import json
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from demo_model.claims import training_text
from pairdex.demo.scenes import random_scene

VOCABULARY = 740
CORPUS = 40_000
BOS, EOT, END = "<|startoftext|>", "<|endoftext|>", "</w>"
# CLIP's words: contractions, runs of letters, single digits, runs of anything else.
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_tokenizer(seed: int) -> Tokenizer:
    """Return the tokenizer; ids are in CLIP's order: bytes, bytes at a word's end, merges, marks."""
    rng = Random(seed)
    corpus = [training_text(random_scene(rng), rng)[0] for _ in range(CORPUS)]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = _clip_like(models.BPE(end_of_word_suffix=END))
    learner.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - 2,
            initial_alphabet=letters,
            end_of_word_suffix=END,
            show_progress=False,
        ),
    )
    # The trainer lists only the word ends that it saw; CLIP lists all bytes in both forms.
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    merges = merges[: VOCABULARY - 2 - 2 * len(letters)]
    tokens = [*letters, *(letter + END for letter in letters), *map("".join, merges), BOS, EOT]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    model = models.BPE(vocabulary, merges, end_of_word_suffix=END, unk_token=EOT)
    return _clip_like(model)


def _clip_like(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.BPEDecoder(suffix=END)
    return tokenizer
