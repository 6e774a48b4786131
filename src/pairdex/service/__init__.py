"""The service: REST over opened collections, and the page that uses it; read-only."""
