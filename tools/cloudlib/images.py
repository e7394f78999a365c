"""Create the guest's images in Glance, the flavors in Nova and the network in Neutron."""

from __future__ import annotations

import sys
from typing import Any

import openstack
from openstack.connection import Connection

# These options do not change the behaviour of the guest or of a migration. Under emulation, the
# kernel's checks and any timer outside the processor take ten times longer than on real hardware.
# Together they are a fifth to a third of the guest's time for a request.
COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=4 panic=1 mitigations=off nokaslr nopti "
    "audit=0 random.trust_cpu=on tsc=reliable clocksource=tsc hpet=disable nowatchdog "
    "init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off "
    "apparmor=0 lsm=integrity cgroup_disable=memory psi=0"
)
MEMORY = (128, 192, 256, 384, 512, 768, 1024)


def upload(
    cloud: Connection, name: str, path: str, kind: tuple[str, str], **properties: str
) -> Any:
    old = cloud.image.find_image(name)
    if old:
        cloud.image.delete_image(old)
    container, disk = kind
    return cloud.image.create_image(
        name,
        filename=path,
        container_format=container,
        disk_format=disk,
        validate_checksum=False,
        allow_duplicates=True,
        visibility="public",
        **properties,
    )


def images(cloud: Connection, kernel_path: str, directory: str, version: str) -> None:
    kernel = upload(cloud, "guest-kernel", kernel_path, ("aki", "aki"))
    initrd = upload(cloud, "guest-initrd", f"{directory}/initrd", ("ari", "ari"))
    upload(
        cloud,
        "guest",
        f"{directory}/disk.qcow2",
        ("bare", "qcow2"),
        kernel_id=kernel.id,
        ramdisk_id=initrd.id,
        os_command_line=COMMAND_LINE,
        guest_version=version,
        hw_video_model="none",
        hw_vif_multiqueue_enabled="false",
    )


def network(cloud: Connection, cidr: str, first: str, last: str, mtu: int) -> None:
    known = cloud.network.find_network("guests")
    if known:
        if known.mtu != mtu:
            cloud.network.update_network(known, mtu=mtu)
        return
    made = cloud.network.create_network(
        name="guests",
        provider_network_type="flat",
        provider_physical_network="physnet1",
        is_shared=True,
        mtu=mtu,
    )
    cloud.network.create_subnet(
        name="guests",
        network_id=made.id,
        ip_version=4,
        cidr=cidr,
        is_dhcp_enabled=False,
        gateway_ip=None,
        allocation_pools=[{"start": first, "end": last}],
    )


def flavors(cloud: Connection) -> None:
    known = {flavor.name for flavor in cloud.compute.flavors()}
    for memory in MEMORY:
        if f"m{memory}" not in known:
            cloud.compute.create_flavor(name=f"m{memory}", ram=memory, vcpus=1, disk=0)


def main() -> None:
    kernel, directory, version, cidr, first, last, mtu = sys.argv[1:8]
    cloud = openstack.connect()
    images(cloud, kernel, directory, version)
    network(cloud, cidr, first, last, int(mtu))
    flavors(cloud)


if __name__ == "__main__":
    main()
