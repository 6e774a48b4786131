"""How a file is written whole, sealed, and read back."""
