"""Ways of finding an object in a picture; ``engine.segmentation.segment`` chooses among them."""
