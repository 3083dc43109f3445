"""Writes the shipped bank: questions from templates with seeds, and written ones. Answers are computed twice, in two ways."""
