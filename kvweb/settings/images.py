"""Images: where they may be fetched from, how large they may be, and how long an upload may rest."""

from __future__ import annotations

from kvweb.settings.env import flag, number, words

#: Plain http cannot show that a file is genuine; for vendors in one's own network it may do.
IMAGE_HTTP = flag("KVWEB_IMAGE_HTTP")
#: Private networks that images may be fetched from ("10.0.0.0/8"). None by default: members choose the addresses.
IMAGE_NETWORKS = words("KVWEB_IMAGE_NETWORKS")
#: The largest image, packed or unpacked, in GiB.
IMAGE_MAX_GIB = number("KVWEB_IMAGE_MAX_GIB", 64)
#: Uploads that one person may have begun at a time.
IMAGE_UPLOADS_PER_USER = int(number("KVWEB_IMAGE_UPLOADS_PER_USER", 4))
#: How long an upload waits for its next piece before it is given up, in seconds.
IMAGE_UPLOAD_KEEP_S = number("KVWEB_IMAGE_UPLOAD_KEEP_S", 24 * 3600)
