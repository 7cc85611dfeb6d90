"""Ways of finding an object in a picture; ``engine.segment`` chooses among them."""
