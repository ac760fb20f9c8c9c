"""Why a model answers as it does: attention maps and occlusion sensitivity."""
