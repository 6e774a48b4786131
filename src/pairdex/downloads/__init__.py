"""Published releases: the catalogue of their files, and fetching them."""
