"""One file a network: what ``impasto train`` runs."""
