"""Patches of feature maps, and where their like is in another map."""
