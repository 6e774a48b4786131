"""The paths of the project and of the data shared by tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
