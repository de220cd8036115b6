"""Pools, volumes and images."""
