"""Importers: what other tools know of answers -> statements about requests, without texts."""
