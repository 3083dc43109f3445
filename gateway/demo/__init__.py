"""The simulated provider, for routing and failover without real models."""
