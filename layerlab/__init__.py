"""layerlab: a laboratory that measures Docker practice on a real engine."""
