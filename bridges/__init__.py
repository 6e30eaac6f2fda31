"""All I/O.  A bridge reports facts and carries out commands; it decides nothing."""
