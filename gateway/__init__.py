"""The HTTP service: an OpenAI-compatible endpoint in front of a portfolio of models. Holds no tensors."""

__version__ = "0.1.0"
