"""PostgreSQL: its processes, its files, its connections."""
