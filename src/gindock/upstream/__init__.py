"""Templates: where they come from, what they ask, how Copier renders them."""
