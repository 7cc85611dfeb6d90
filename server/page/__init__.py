"""The web page: gradio behind a door, with nothing that reaches beyond this computer."""
