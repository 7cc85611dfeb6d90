"""How this computer computes: device, precision, memory, threads, tiles, sizes."""
