"""A vCenter for tests: VMware's own simulator, built here, behind a door that can fail on demand."""
