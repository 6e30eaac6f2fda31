"""The demonstration: a real cluster on this machine, a failover, a switchover."""
