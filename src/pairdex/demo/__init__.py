"""A demonstration that needs no network: drawn scenes with captions, and a model that knows them."""
