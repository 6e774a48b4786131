"""Pairs as training examples: the features of TFDS's `laion400m`, from a collection, from parts, or from tars."""
