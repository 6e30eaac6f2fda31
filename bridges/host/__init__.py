"""The host: what its kernel, its cgroups and its disks tell."""
