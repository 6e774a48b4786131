"""The recipe of the demo model: its towers, training data, tokenizer, export and measurement."""
