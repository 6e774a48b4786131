"""`pairdex clickhouse`: collections in ClickHouse, embedded or on servers; one module a command."""
