"""Backbones that others trained, or that a user brings: named here, never shipped, fetched only on request.

`manifest.json` names them with source, licence and sha256. `fer-space fetch NAME` brings one into the Hub
cache; from then on it is read beside the shipped ones. Nothing is unpickled and no code of a model's
repository is run: only ONNX graphs and safetensors are read.

They are read as the shipped ones are: each face together with its mirror image. HSEmotion stretches the box
of a face to a square; here a square of the box's mean side is cut, which leaves faces their shape.
"""
