"""The parts of `providers.kbase.Kbase`, one file for each heading of its contract."""
