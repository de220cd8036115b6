"""A stand-in for AWS: moto's server, made stricter and slower, with faults on demand. For tests and benches."""
