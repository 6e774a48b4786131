"""`pairdex model`: making model folders, and checking collections against models; one module a command."""
