"""Metrics: whether machines are measured while nobody looks, and who may read the portal's own figures."""

from __future__ import annotations

from kvweb.settings.env import flag, secret

#: Yes: every machine is measured once a minute, so that its last day and month can be shown. No: only while a page
#: with graphs is open.
KVWEB_METRICS_HISTORY = flag("KVWEB_METRICS_HISTORY", True)
#: What a Prometheus server has to show (as a bearer token) to read /metrics; empty: only this machine itself may.
KVWEB_METRICS_TOKEN = secret("KVWEB_METRICS_TOKEN")
#: Also a series for each virtual machine on /metrics. Names of machines and projects are then told to whoever reads it.
KVWEB_METRICS_PER_VM = flag("KVWEB_METRICS_PER_VM", False)
