"""Collections that earlier versions made."""

import tarfile
from pathlib import Path

HERE = Path(__file__).parent / "data"
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and newer


def unpack_old_collection(version, folder):
    """Unpack the collection that this version made; return its path."""
    name = f"collection-{version}"
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(folder, **SAFELY)
    return folder / name
