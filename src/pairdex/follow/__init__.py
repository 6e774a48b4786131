"""A folder of one's own pictures, kept as a collection: only what changed is encoded again."""
