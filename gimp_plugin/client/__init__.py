"""The plug-in's end of the line to the engine. Standard library only."""

from gimp_plugin.client.engine import Engine
from gimp_plugin.client.line import Health

__all__ = ["Engine", "Health"]
