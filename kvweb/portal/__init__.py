"""What looks at everything: dashboard, inventory sync, watcher, event stream, health, set-up."""
