"""The deciders of Regnal, one module each, and the shell that they share."""
