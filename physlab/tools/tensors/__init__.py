"""Metrics, their curvature and their geodesics."""
