"""Draw a folder of pictures with a table of captions, in place of a user's own pictures."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from random import Random

from pairdex.demo.captions import caption_scene
from pairdex.demo.scenes import Scene, draw_scene, random_scene
from pairdex.encoders.caption_tables import TABLE
from pairdex.errors import InvalidArgument, WriteFailed
from pairdex.files import atomic
from pairdex.progress import StepProgress

__all__ = ["DEFAULT_COUNT", "DEFAULT_SEED", "MAX_COUNT", "draw_pictures"]

DEFAULT_COUNT = 5_000  # drawn, encoded and built in seconds
MAX_COUNT = 1_000_000  # about the number of different scenes; 5 GB
DEFAULT_SEED = 0

_QUALITY = 85  # of the JPEG files
_HEADER = ("file", "caption", "things", "colours", "place", "layout")
_REPORT_EVERY = 50  # pictures


def draw_pictures(
    folder: Path,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = DEFAULT_SEED,
    progress: StepProgress | None = None,
) -> None:
    """Fill a new folder with `count` pictures and their `captions.tsv`; equal seeds give equal bytes.

    The folder appears once all pictures are drawn. If it already exists with the same captions, nothing is
    done.

    Parameters
    ----------
    progress
        Called with the pictures drawn and the pictures in total.

    Raises
    ------
    InvalidArgument
        `count` is out of range, or the folder contains other files.
    WriteFailed
        The disk is full or read-only.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidArgument(f"count is {count:,}, expected 1 to {MAX_COUNT:,}", field="count")
    numbers = range(count)
    scenes = [random_scene(_rng(seed, i, "scene")) for i in numbers]
    names = [f"{i:05d}.jpg" for i in numbers]
    table = _table(scenes, names, seed)
    if _is_drawn(folder, table):
        return
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    atomic.make_folder(partial)
    try:
        for i in numbers:
            # Not synced: pictures lost in a power failure can be drawn again.
            (partial / names[i]).write_bytes(_jpeg(scenes[i], _rng(seed, i, "draw")))
            if progress is not None and ((i + 1) % _REPORT_EVERY == 0 or i + 1 == count):
                progress(i + 1, count)
        atomic.write_bytes(partial / TABLE, table)
        partial.rename(folder)
    except WriteFailed:
        raise
    except OSError as error:
        raise WriteFailed(
            f"cannot write {folder}: {error.strerror or error}; free space or name another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _jpeg(scene: Scene, rng: Random) -> bytes:
    # Written from memory: Pillow does not report a full disk when it writes the file itself.
    file = BytesIO()
    draw_scene(scene, rng).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _rng(seed: int, number: int, purpose: str) -> Random:
    """Return the random generator for one purpose of one picture, the same on every machine."""
    return Random(f"{seed} {number} {purpose}")  # noqa: S311 - not used for security


def _is_drawn(folder: Path, table: bytes) -> bool:
    if not folder.exists():
        return False
    path = folder / TABLE
    if path.is_file() and path.read_bytes() == table:
        return True
    if folder.is_dir() and not any(folder.iterdir()):
        return False
    raise InvalidArgument(f"{folder} contains other files; name a new folder", field="folder")


def _table(scenes: list[Scene], names: list[str], seed: int) -> bytes:
    lines = ["\t".join(_HEADER)]
    for i, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        fields = (
            name,
            caption_scene(scene, _rng(seed, i, "caption")),
            " and ".join(item.thing for item in scene.items),
            " and ".join(item.colour for item in scene.items),
            scene.background,
            scene.layout,
        )
        lines.append("\t".join(fields))
    return ("\n".join(lines) + "\n").encode()
