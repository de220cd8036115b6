"""Long work: one row per run, one Celery task for all of it."""
