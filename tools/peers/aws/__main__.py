"""`python -m tools.peers.aws`: listens on a free port, says where in one line of JSON, ends with its standard input.

`--many N` begins with N instances; `--frozen` answers the same question alike, and quickly; `--tls cert key` speaks
HTTPS.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

#: Without these moto takes any nonsense, and loads 1,285 images that nobody asks for. They count when it is imported.
SETTINGS = {
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "MOTO_AMIS_PATH": str(Path(__file__).with_name("images.json")),
}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--many", type=int, default=0)
    arguments.add_argument("--frozen", action="store_true")
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--region", default="eu-central-1")
    arguments.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    given = arguments.parse_args()
    os.environ.update(SETTINGS)

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from tools.peers.aws import beyond, content, stricter
    from tools.peers.aws.layer import KEY, SECRET, Layer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    stricter.apply()
    beyond.apply()
    made = content.fill(given.region, given.many)
    inner: Any = DomainDispatcherApplication(create_backend_app)
    app: Any = Layer(inner, is_frozen=given.frozen)
    server = make_server(
        "127.0.0.1", given.port, app, threaded=True, ssl_context=tuple(given.tls) if given.tls else None
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    scheme = "https" if given.tls else "http"
    told = {"url": f"{scheme}://127.0.0.1:{server.server_port}", "key": KEY, "secret": SECRET, **made}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
