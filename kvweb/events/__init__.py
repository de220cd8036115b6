"""What changed: news for open pages."""
