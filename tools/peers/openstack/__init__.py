"""OpenStack for tests: a simulator of ours (`simulator`), and the real services on this machine (`real`)."""
