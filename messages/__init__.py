"""The vocabulary: everything that passes between two parts of Regnal."""
