"""Where journals come from, and which of them belong together."""
