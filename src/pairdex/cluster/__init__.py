"""Searches whose vectors are compared by actors of a Ray cluster, each with a shard."""
