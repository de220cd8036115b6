"""What the simulated cloud offers from its first moment: locations, server types with prices, images, ISOs."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MADE = "2024-01-01T00:00:00+00:00"
_PLACES = (
    ("fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", "eu-central", 50.47612, 12.370071),
    ("nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", "eu-central", 49.452102, 11.076665),
    ("hel1", "Helsinki DC Park 1", "FI", "Helsinki", "eu-central", 60.169855, 24.938379),
    ("ash", "Ashburn, VA", "US", "Ashburn, VA", "us-east", 39.045821, -77.487073),
)
#: name, description, cores, GB memory, GB disk, processor, architecture, net price a month in the first location
_TYPES = (
    ("cx22", "CX22", 2, 4.0, 40, "shared", "x86", 3.29),
    ("cx32", "CX32", 4, 8.0, 80, "shared", "x86", 5.99),
    ("cx42", "CX42", 8, 16.0, 160, "shared", "x86", 15.90),
    ("cax11", "CAX11", 2, 4.0, 40, "shared", "arm", 3.29),
    ("ccx13", "CCX13 Dedicated CPU", 2, 8.0, 80, "dedicated", "x86", 12.49),
)
_IMAGES = (
    ("debian-12", "Debian 12", "debian", "12", "x86"),
    ("debian-12", "Debian 12", "debian", "12", "arm"),
    ("ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "x86"),
    ("rocky-9", "Rocky Linux 9", "rocky", "9", "x86"),
)


def locations() -> list[Json]:
    return [
        {
            "id": number,
            "name": name,
            "description": description,
            "country": country,
            "city": city,
            "network_zone": zone,
            "latitude": latitude,
            "longitude": longitude,
        }
        for number, (name, description, country, city, zone, latitude, longitude) in enumerate(_PLACES, start=1)
    ]


def server_types(places: list[Json]) -> list[Json]:
    return [
        {
            "id": 100 + number,
            "name": name,
            "description": description,
            "category": "Shared vCPU" if cpu == "shared" else "General Purpose",
            "cores": cores,
            "memory": memory,
            "disk": disk,
            "deprecated": False,
            "deprecation": None,
            "prices": [price(place["name"], monthly, index) for index, place in enumerate(places)],
            "storage_type": "local",
            "cpu_type": cpu,
            "architecture": architecture,
            "included_traffic": None,
            # Dedicated ones are sold out in the second location, as it happens.
            "locations": [
                {
                    "id": place["id"],
                    "name": place["name"],
                    "deprecation": None,
                    "available": not (cpu == "dedicated" and place["name"] == "nbg1"),
                    "recommended": cpu == "shared",
                }
                for place in places
            ],
        }
        for number, (name, description, cores, memory, disk, cpu, architecture, monthly) in enumerate(_TYPES)
    ]


def price(place: str, monthly: float, index: int) -> Json:
    """A price in one location; each further one costs a little more."""
    net = monthly + 0.5 * index

    def amounts(value: float) -> Json:
        return {"net": f"{value:.10f}", "gross": f"{value * 1.19:.10f}"}

    return {
        "location": place,
        "price_hourly": amounts(net / 624),
        "price_monthly": amounts(net),
        "included_traffic": 21_990_232_555_520,
        "price_per_tb_traffic": amounts(1.0),
    }


def images() -> list[Json]:
    return [
        image(1000 + number, name=name, description=description, flavor=flavor, version=version, arch=arch)
        for number, (name, description, flavor, version, arch) in enumerate(_IMAGES)
    ]


def image(number: int, *, name: str | None, description: str, flavor: str, version: str | None, arch: str) -> Json:
    return {
        "id": number,
        "type": "system",
        "status": "available",
        "name": name,
        "description": description,
        "image_size": None,
        "disk_size": 5,
        "created": MADE,
        "created_from": None,
        "bound_to": None,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": True,
        "protection": {"delete": False},
        "deprecated": None,
        "deprecation": None,
        "deleted": None,
        "labels": {},
        "architecture": arch,
    }


def isos() -> list[Json]:
    return [
        {
            "id": 500 + number,
            "name": name,
            "description": description,
            "type": "public",
            "architecture": "x86",
            "deprecated": None,
            "deprecation": None,
        }
        for number, (name, description) in enumerate(
            (("FreeBSD-14.2-amd64.iso", "FreeBSD 14.2 x64"), ("netboot.xyz.iso", "netboot.xyz"))
        )
    ]


def load_balancer_types(places: list[Json]) -> list[Json]:
    return [
        {
            "id": 1,
            "name": "lb11",
            "description": "LB11",
            "max_connections": 10_000,
            "max_services": 5,
            "max_targets": 25,
            "max_assigned_certificates": 10,
            "deprecated": None,
            "prices": [price(place["name"], 5.39, index) for index, place in enumerate(places)],
        }
    ]
