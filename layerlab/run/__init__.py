"""Running: containers and compose projects of an image, and what reaches the app in them."""
