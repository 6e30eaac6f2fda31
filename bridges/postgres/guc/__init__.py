"""PostgreSQL's parameters ("GUC"): what exists in which version, and what is valid."""
