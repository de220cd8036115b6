"""What was measured: rings of fixed size in files of their own, beside the database and not in it."""
