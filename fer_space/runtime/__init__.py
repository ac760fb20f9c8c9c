"""Where the networks run: which device, which runtime, how many threads."""
