"""Live migration of Nova instances that the users of their HTTP services do not notice."""
