"""Configuration: YAML, environment and the dynamic part kept in the DCS."""
