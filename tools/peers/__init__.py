"""Stand-ins for platforms: servers that tests talk to over sockets instead of somebody's account."""
