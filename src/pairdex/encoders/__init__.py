"""Encoding: pictures and texts become vectors through a CLIP-like model in a folder."""

import os

# Unless this is set before it is imported, onnxruntime (1.32) sends telemetry to its vendor.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
