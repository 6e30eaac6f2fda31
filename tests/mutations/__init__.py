"""Rules broken on purpose: a checker that catches nothing proves nothing."""
