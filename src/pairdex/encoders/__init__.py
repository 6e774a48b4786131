"""Encoding: pictures and texts become vectors through a CLIP-like model in a folder."""
