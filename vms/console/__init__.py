"""Consoles in the browser: grants, the proxy that carries them, and their pages."""
