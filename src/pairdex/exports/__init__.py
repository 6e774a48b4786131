"""Export a collection: one module per format."""
