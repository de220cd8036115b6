"""Who: users, projects, roles, and the one place that decides what somebody may do."""
