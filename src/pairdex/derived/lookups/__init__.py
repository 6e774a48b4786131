"""Look-ups in the metadata of a collection: rows by URL, and rows by the words of their captions."""
