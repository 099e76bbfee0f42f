"""How well it captions: over HTTP, by metrics, and as a model card."""
