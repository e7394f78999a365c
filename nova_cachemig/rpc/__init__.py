"""The only wire contract: clients and their version history. Primitives only."""
