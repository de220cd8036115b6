"""The suite itself: one file per group of promises, each promise a function whose name is its sentence."""
