"""The guard: the process that fences PostgreSQL when the lease ends."""
