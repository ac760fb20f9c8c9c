"""Backbones, one architecture family a file, each a body and a head (`base.Backbone`)."""
