"""The tokenizer of an exported model: its own, or CLIP's from its published vocabulary."""

from __future__ import annotations

import gzip
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pairdex.errors import DamagedFile, MissingExtra, MissingFile
from pairdex.files import foreign_json

__all__ = ["EOT", "SOT", "clip_tokenizer", "is_clip_tokenizer", "token_id", "tokenizer_of"]

SOT, EOT = "<|startoftext|>", "<|endoftext|>"

# Too large to carry for the few models that come without it. Read without importing the package.
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"  # of openai/CLIP
_VOCABULARY_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
_PACKAGES = ("open_clip", "clip")  # of open_clip_torch; of clip-anytorch and OpenAI's own
_TOKENIZER_SHA256 = "0e3e3a5bd913ca87a6f96bdfb4985d5e7fbc55a66823bba70f7667264bdec618"
_TOKENS = 49408
_MERGES = slice(1, 49152 - 256 - 2 + 1)  # the merges that CLIP uses, clip/simple_tokenizer.py
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenizer_of(folder: Path) -> bytes | None:
    """Return the `tokenizer.json` of a folder, or build it from its `vocab.json` and `merges.txt`.

    CLIP's own vocabulary always gives the same bytes, however the folder writes it: the model then
    has the same checksum.

    Raises
    ------
    DamagedFile
        The files do not hold what their names say.
    """
    whole = folder / "tokenizer.json"
    if whole.is_file():
        data = whole.read_bytes()
        content = _json(whole, data)
        if "model" not in content:
            raise DamagedFile(f"{whole} is not a tokenizer; fetch it again")
        return _rewritten(content["model"]) or data
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        return None
    lines = merges.read_text("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
    return _serialised(_by_id(_json(vocabulary, vocabulary.read_bytes())), pairs)


def is_clip_tokenizer(tokenizer: bytes) -> bool:
    """Return whether it is CLIP's own, with the published vocabulary."""
    return hashlib.sha256(tokenizer).hexdigest() == _TOKENIZER_SHA256


def clip_tokenizer(folder: Path) -> bytes:
    """Return CLIP's own tokenizer as a `tokenizer.json`: 49,408 tokens.

    Parameters
    ----------
    folder
        Where the model lies. The vocabulary is read from there, or from an installed package of
        CLIP's or open_clip's.

    Raises
    ------
    MissingExtra, DamagedFile
        No vocabulary was found; it differs from the published one.
    """
    lines = gzip.decompress(_vocabulary(folder)).decode("utf-8").split("\n")[_MERGES]
    pairs = [tuple(line.split()) for line in lines]
    letters = _byte_letters()
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *("".join(pair) for pair in pairs),
        SOT,
        EOT,
    ]
    return _serialised({token: i for i, token in enumerate(tokens)}, pairs)


def _rewritten(model: object) -> bytes | None:
    """Return CLIP's tokenizer as we write it, if this is its vocabulary; None for any other."""
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        return None
    if len(model.get("vocab") or ()) != _TOKENS:
        return None
    try:
        pairs = [tuple(one.split() if isinstance(one, str) else one) for one in model["merges"]]
        ours = _serialised(_by_id(model["vocab"]), pairs)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return ours if is_clip_tokenizer(ours) else None


def _by_id(vocabulary: dict[str, int]) -> dict[str, int]:
    return dict(sorted(vocabulary.items(), key=lambda one: one[1]))


def _vocabulary(folder: Path) -> bytes:
    specs = [find_spec(package) for package in _PACKAGES]
    installed = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    for place in (folder, *map(Path, installed)):
        path = place / _VOCABULARY
        if path.is_file():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != _VOCABULARY_SHA256:
                raise DamagedFile(f"{path} differs from the published vocabulary; fetch it again")
            return data
    raise MissingExtra(
        f"{folder} holds no tokenizer, and CLIP's vocabulary is not installed; "
        f"pip install --no-deps open_clip_torch, or put {_VOCABULARY} of openai/CLIP beside the model"
    )


def token_id(tokenizer: bytes, token: str, path: Path) -> int:
    """Return the id of a token.

    Raises
    ------
    MissingFile
        The tokenizer has no such token.
    """
    content = foreign_json.parse(tokenizer)
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, dict) and token in vocabulary:
        return int(vocabulary[token])
    for added in content.get("added_tokens") or ():
        if added["content"] == token:
            return int(added["id"])
    if isinstance(vocabulary, list):  # a Unigram model: pairs of token and score
        found = next((i for i, (one, _) in enumerate(vocabulary) if one == token), None)
        if found is not None:
            return found
    raise MissingFile(f"the tokenizer of {path} has no token {token}: it belongs to another model")


def _byte_letters() -> list[str]:
    """Return the 256 letters that represent bytes, in the order of CLIP's first tokens.

    Printable bytes represent themselves and come first; the others get letters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]


def _serialised(vocabulary: dict[str, int], merges: list[tuple[str, ...]]) -> bytes:
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": _WORDS},
                    "behavior": "Removed",
                    "invert": True,
                },
                {
                    "type": "ByteLevel",
                    "add_prefix_space": False,
                    "trim_offsets": True,
                    "use_regex": False,
                },
            ],
        },
        "post_processor": None,
        "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": EOT,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": "</w>",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [list(pair) for pair in merges],
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        content = foreign_json.parse(data)
    except ValueError as error:
        raise DamagedFile(f"{path} is not JSON: {error}; fetch it again") from error
    if not isinstance(content, dict):
        raise DamagedFile(f"{path} is not a JSON object; fetch it again")
    return content
