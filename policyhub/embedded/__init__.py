"""PostgreSQL and Valkey out of wheels, for machines that have neither."""
