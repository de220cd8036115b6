"""What tests, measurements, fault runs and pictures stand on: a whole portal, and libvirts to spoil or to keep."""
