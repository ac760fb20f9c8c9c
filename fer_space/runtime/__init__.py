"""Where the body of a network runs."""
