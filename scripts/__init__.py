"""Commands for those who build Impasto, and what install.py is made of."""
