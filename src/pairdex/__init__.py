"""pairdex: an index of image-text pairs."""
