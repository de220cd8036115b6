"""A whole simulated cloud: for demonstrations, page tests and as the first kind that keeps every promise."""
