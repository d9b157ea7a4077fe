"""How good a model is, in figures: pure statistics and the report made of them."""
