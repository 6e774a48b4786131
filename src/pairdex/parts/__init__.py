"""Parts: image vectors, text vectors and metadata of the same rows, as they were released."""
