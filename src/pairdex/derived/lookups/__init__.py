"""What is looked up in the metadata of a collection: rows by URL, rows by the words of their captions."""
