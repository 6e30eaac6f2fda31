"""The command lines: `regnal` for the daemon and its journals, `regnalctl` for the cluster."""
