"""Regnal keeps a PostgreSQL cluster highly available, and writes down why it did what it did."""
