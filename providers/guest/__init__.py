"""What every kind of provider hands to a guest at its first boot, the same everywhere."""
