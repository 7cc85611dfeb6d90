"""What methods share: painting with networks of one style, of several, level by level, with strokes."""
