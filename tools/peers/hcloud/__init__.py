"""A simulated Hetzner Cloud: stateful, with actions that take time, over HTTP as the official client speaks it."""
