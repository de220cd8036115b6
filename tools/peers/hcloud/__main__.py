"""Serves a simulated Hetzner Cloud until it is interrupted: ``python -m tools.peers.hcloud --port 8899``."""

from __future__ import annotations

import argparse
import threading

from tools.peers.hcloud.cloud import Cloud
from tools.peers.hcloud.server import Peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--action-s", type=float, default=2.0, help="seconds that an action takes")
    parser.add_argument("--token", default="t" * 64)
    given = parser.parse_args()
    with Peer(Cloud(token=given.token, action_s=given.action_s), port=given.port) as peer:
        print(f"address {peer.url}, token {given.token}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
