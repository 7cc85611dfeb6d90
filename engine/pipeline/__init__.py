"""From content, styles and settings to the result, stage by stage; ``stylize`` is the entry."""
