"""Documents of libvirt, written and read without any policy: what to ask for is decided in `design.py`."""
