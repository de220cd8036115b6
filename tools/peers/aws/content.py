"""What the stand-in holds at its start: two networks, a zone of names, a small image, and instances for the bench."""

from __future__ import annotations

from typing import Any

ACCOUNT = "123456789012"


def fill(region: str, many: int) -> dict[str, Any]:
    """Make it through moto's own models, which is quick, and loads what the first request would wait for."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.instances import Reservation
    from moto.route53.models import route53_backends

    ec2: Any = ec2_backends[ACCOUNT][region]
    first = next(one for one in ec2.describe_vpcs() if one.is_default == "true" or one.is_default is True)
    first.add_tag("Name", "default")
    other = ec2.create_vpc("10.77.0.0/16")
    other.add_tag("Name", "other")
    ec2.create_subnet(other.id, "10.77.1.0/24", availability_zone=f"{region}a")
    zones: Any = route53_backends[ACCOUNT]["aws"]
    zones.create_hosted_zone("demo.test", private_zone=False, caller_reference="kvweb")
    subnet = sorted(
        (one for one in ec2.describe_subnets() if one.vpc_id == first.id), key=lambda one: str(one.availability_zone)
    )[0]
    image = "ami-0deb1200000000001"
    if many:
        # All in one request, which moto checks once.
        made = ec2.run_instances(
            image,
            many,
            None,
            [],
            instance_type="t3.micro",
            is_instance_type_default=False,
            region_name=region,
            subnet_id=subnet.id,
            nics=[],
            tags={},
            key_name=None,
            client_token="",
            block_device_mappings=[
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True}}
            ],
        )
        # As if each had been asked for by itself: some clients read one instance of each reservation.
        del ec2.reservations[made.id]
        for number, instance in enumerate(made.instances):
            instance.add_tag("Name", f"vm-{number:04}")
            alone = Reservation(reservation_id=f"r-{number:017x}", owner_id=made.owner_id)
            alone.instances.append(instance)
            ec2.reservations[alone.id] = alone
    return {"image": image, "network": first.id, "other_network": other.id, "subnet": subnet.id, "region": region}
