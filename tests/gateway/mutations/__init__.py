"""Good answers of providers, what can go wrong with each, and what a client must get all the same."""
