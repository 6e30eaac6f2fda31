"""Playing a journal again: who heard what, and what today's deciders make of it."""
