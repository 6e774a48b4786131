"""Collections in ClickHouse: loading, indexing, searching, and encoding inside of its queries."""
