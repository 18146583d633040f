"""Readers of the surveys' layouts, a file each."""
