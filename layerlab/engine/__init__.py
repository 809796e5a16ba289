"""Which engine is used, our own private one, its base images, and what is left on it."""
