"""Virtual machines: what people come for."""
