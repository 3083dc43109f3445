"""Calls to providers. `direct` relays the bytes of OpenAI-compatible ones, `sdk` goes through litellm for the rest."""
