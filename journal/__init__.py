"""The record: append-only, hash-chained segments of messages and steps, one journal per member."""
