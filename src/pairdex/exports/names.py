"""The names of the export formats and TFDS configurations, without imports, so that `--help` is fast."""

from __future__ import annotations

from typing import Literal

__all__ = ["Config", "Format"]

Format = Literal["sisap", "tsv", "parquet", "laion", "webdataset", "tfds", "clickhouse"]
Config = Literal["images", "embeddings"]
