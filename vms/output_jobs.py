"""The handler that reads what a provider keeps of a serial line: into a file, and nowhere else."""

from __future__ import annotations

from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.pool import open_driver
from vms.console import kept_output
from vms.jobs import vm_of


@handler("vm.read_output", limit_s=120)
def read_output(job: Job, reporter: Reporter) -> dict[str, Any]:
    """The result says how much it was, and nothing of what it says: jobs are seen by more people than consoles."""
    del reporter
    vm = vm_of(job)
    with open_driver(vm.provider) as driver:
        if driver.consoles is None:
            raise Failed("This provider keeps no output of its machines.", "not_supported")
        data = driver.consoles.output(vm.external_id)
    kept_output.keep(vm.uuid, data)
    return {"bytes": len(data)}
