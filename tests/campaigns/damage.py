"""One generator of damage to files: what broken disks, bad copies and hostile people do to bytes."""

import copy
import json

import numpy as np

HUGE = [
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\xff" * 7 + b"\x7f",
    b"\x80" + b"\0" * 7,
    b"\0" * 8,
    b"\x00\x00\x00\x80",
]
TEXTS = [
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"NaN",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe\xc3",
    b"\0",
    b"\xed\xa0\x80",
    b"null",
    b'"',
    b"\n\n",
]


def damaged(data, seed, rounds):
    """Yield `rounds` damaged copies of some bytes, each with what was done to it."""
    rng = np.random.default_rng(seed)
    kinds = [flipped, truncated, zeroed, huge, inserted, doubled, swapped, replaced_text, emptied]
    for number in range(rounds):
        kind = kinds[number % len(kinds)]
        changed, said = kind(bytearray(data), rng)
        yield f"{kind.__name__} {said}", bytes(changed)


def place(data, rng):
    """A position: half of them in the first 512 bytes, where headers are, some at the end."""
    if not data:
        return 0
    where = rng.random()
    if where < 0.5:
        return int(rng.integers(min(512, len(data))))
    if where < 0.7:
        return len(data) - 1 - int(rng.integers(min(256, len(data))))
    return int(rng.integers(len(data)))


def flipped(data, rng):
    count = int(rng.integers(1, 4))
    places = [place(data, rng) for _ in range(count)]
    for at in places if data else []:
        data[at] ^= 1 << int(rng.integers(8))
    return data, f"at {places}"


def truncated(data, rng):
    at = place(data, rng)
    return data[:at], f"at {at}"


def zeroed(data, rng):
    at, length = place(data, rng), int(rng.choice([1, 8, 64, 4096]))
    data[at : at + length] = bytes(len(data[at : at + length]))
    return data, f"{length} at {at}"


def huge(data, rng):
    at, number = place(data, rng), HUGE[int(rng.integers(len(HUGE)))]
    data[at : at + len(number)] = number
    return data, f"{number!r} at {at}"


def inserted(data, rng):
    at, extra = place(data, rng), rng.bytes(int(rng.choice([1, 7, 512])))
    return data[:at] + extra + data[at:], f"{len(extra)} at {at}"


def doubled(data, rng):
    at, length = place(data, rng), int(rng.choice([8, 512]))
    return data[: at + length] + data[at:], f"{length} at {at}"


def swapped(data, rng):
    first, second = sorted((place(data, rng), place(data, rng)))
    length = min(64, second - first)
    data[first : first + length], data[second : second + length] = (
        data[second : second + length],
        data[first : first + length],
    )
    return data, f"{length} at {first} and {second}"


def replaced_text(data, rng):
    at, text = place(data, rng), TEXTS[int(rng.integers(len(TEXTS)))]
    return data[:at] + text + data[at + len(text) % 50 :], f"{text[:10]!r} at {at}"


def emptied(data, rng):
    kept = [b"", data[:1], b"\0" * len(data), b"\xff" * min(len(data), 4096), rng.bytes(1000)]
    choice = int(rng.integers(len(kept)))
    return kept[choice], f"way {choice}"


ODD_VALUES = [
    None, True, -1, 0, 2**63, 10**30, 1e300, "", "x", "../../etc/passwd", "a\0b", "9" * 5000,
    [], {}, [None], {"x": 1}, [[[[]]]], "\ud800", -(2**63), 0.5,
]  # fmt: skip


def forged(content, seed, rounds):
    """Yield copies of a JSON value with one value in it replaced, left out, or doubled."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        made = copy.deepcopy(content)
        holders = list(places_in(made))
        holder, key = holders[int(rng.integers(len(holders)))]
        value = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
        if rng.random() < 0.15:
            del holder[key]
            yield f"without {key!r}", made
            continue
        holder[key] = value
        yield f"{key!r} is {json.dumps(value)[:60]}", made


def places_in(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from places_in(item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index
            yield from places_in(item)
