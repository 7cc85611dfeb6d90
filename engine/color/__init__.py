"""Colors of the style and of the content: color modes, transport, light and dark, grain."""
