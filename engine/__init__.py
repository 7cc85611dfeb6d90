"""Neural style transfer: pictures in, pictures out. Knows nothing of HTTP or GIMP."""

__version__ = "0.1.0"
