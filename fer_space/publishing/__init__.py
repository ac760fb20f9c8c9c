"""Folders that can be uploaded as they are: one a model, and the Space."""
