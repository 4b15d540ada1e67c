"""Servers that the benchmarks measure against; they share no code with the package."""
