"""Has a provider changed a model, and do two deployments serve the same one? Statistics over probes that are asked again."""
