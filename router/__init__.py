"""LOCUS (arXiv 2601.21082): evaluations in, model embeddings and correctness predictions out. Knows nothing of HTTP."""
