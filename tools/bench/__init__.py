"""Measures of the portal, each beside its baseline in the same run. A measure is a function in a file bench_*.py here:

    from tools.bench import bench, measure

    @bench
    def list_page() -> None:
        measure("vm list, 1000 VMs", "ms", get_page, baseline=get_empty_page, baseline_name="empty page", goal="<= 25")

A goal is about the value ("<= 25", in the measure's unit) or about its ratio to the baseline ("<= 1.5 x").
"""

from tools.bench.harness import Skip, bench, measure

__all__ = ["Skip", "bench", "measure"]
