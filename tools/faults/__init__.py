"""Kills the worker in the middle of long operations, at random moments, and looks at what is left.

    python -m tools.faults 100                  as many kills in every operation
    python -m tools.faults 20 clone export      only these operations
    python -m tools.faults 100 --report docs/faults.md

The worker is a process that is forked for one job, runs it as Celery's would, and gets SIGKILL. libvirt is real: two
private daemons, whose files can be looked at without asking anybody.
"""
