"""The model checker: the production deciders in a small world, in every order."""
