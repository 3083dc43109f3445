"""Calls to providers: `direct` passes bytes on to compatible ones, and `litellm_upstream` calls all others through litellm."""
