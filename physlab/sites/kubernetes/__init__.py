"""Kubernetes: nodes in pods that a Prefect work pool starts; what they take and give travels through a store."""
