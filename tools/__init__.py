"""What builds, starts, measures and checks the portal; nothing here is imported by the portal itself."""
