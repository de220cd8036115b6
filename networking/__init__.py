"""Networks and what belongs to them."""
