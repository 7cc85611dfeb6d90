"""Which part of a style feeds which part of a picture: label maps, pairing, regions found by a network."""
