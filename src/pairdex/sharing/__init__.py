"""How a collection is published at an address, and fetched whole from there."""
