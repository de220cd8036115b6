"""Hetzner Cloud, through its official library."""
