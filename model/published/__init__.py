"""Importers of published checkpoints, one file per source."""
