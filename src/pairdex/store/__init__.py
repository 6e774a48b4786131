"""A collection's files: the manifest, vectors and metadata on disk, and how they get there."""
