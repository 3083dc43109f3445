"""The simulated provider: something to route between, and to fail over from, before any real model is plugged in."""
