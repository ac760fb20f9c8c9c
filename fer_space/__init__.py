"""FER Space: facial-expression backbones, read side by side. Importing this loads no model."""
