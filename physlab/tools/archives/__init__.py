"""Public services: arXiv, CERN, NASA, NIST, and the polite client that asks them."""
