"""Edges of the content and of the selection: smoothing, matting, minimum cuts."""
