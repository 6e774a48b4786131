"""SQL over a collection's metadata, with search in it: one SELECT, read only, shut off from all else."""
