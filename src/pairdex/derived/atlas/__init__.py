"""A map of a collection: a sample laid out in the plane, its regions named by their captions."""
