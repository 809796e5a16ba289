"""Images: what is in each layer, what it costs, and what of it is of no use."""
