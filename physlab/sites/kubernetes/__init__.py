"""Kubernetes: its API, what jobs are there, and what becomes of them."""
