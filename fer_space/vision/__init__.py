"""Pictures in: decode, align, crop, and bring to a network's input."""
