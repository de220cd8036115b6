"""Amazon Web Services: EC2 instances and what goes with them, in one account and region."""
