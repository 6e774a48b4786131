"""Keep a collection in step with a folder of pictures; only changed pictures are encoded again."""
