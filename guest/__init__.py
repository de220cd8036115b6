"""Builds kvweb's small test and first-run machine image from the host distribution's packages."""
