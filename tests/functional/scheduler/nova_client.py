"""A client of a real Nova, run by the Python of that Nova: ``nova_client.py CONF COMMAND …``.

It needs neither the libraries of the tests nor those of nova-cachemig.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import nova.cmd.scheduler  # noqa: F401  # first: it chooses the kind of threads

# isort: split

from nova import conf as nova_conf
from nova import config, context, objects, rpc
from nova.compute import rpcapi as compute_rpcapi
from nova.objects import base
from nova.scheduler import rpcapi
from oslo_utils import timeutils, uuidutils

CONF = nova_conf.CONF
GIB = 1024


def hosts(admin: context.RequestContext, names: list[str]) -> None:
    """Create an idle host of 16 CPUs for each name, as nova-compute would."""
    cell = next(
        mapping for mapping in objects.CellMappingList.get_all(admin) if mapping.name == "cell1"
    )
    with context.target_cell(admin, cell) as in_cell:
        for uuid, name in (entry.split("=") for entry in names):
            service = objects.Service(in_cell, host=name, binary="nova-compute", topic="compute")
            service.create()
            service.last_seen_up = timeutils.utcnow()
            service.report_count = 1
            service.save()
            values = {"uuid": uuid, "host": name, "hypervisor_hostname": name}
            objects.ComputeNode(in_cell, service_id=service.id, **values, **_idle_host()).create()
    for entry in names:
        objects.HostMapping(admin, host=entry.split("=")[1], cell_mapping=cell).create()


def _idle_host() -> dict[str, Any]:
    return {
        "vcpus": 16,
        "vcpus_used": 0,
        "memory_mb": 64 * GIB,
        "memory_mb_used": 0,
        "free_ram_mb": 64 * GIB,
        "local_gb": 100,
        "local_gb_used": 0,
        "free_disk_gb": 100,
        "disk_available_least": 100,
        "hypervisor_type": "QEMU",
        "hypervisor_version": 10000000,
        "cpu_info": "",
        "running_vms": 0,
        "current_workload": 0,
        "mapped": 1,
        "host_ip": "127.0.0.1",
        "metrics": "[]",
        "stats": {"failed_builds": "0"},
        "supported_hv_specs": [objects.HVSpec.from_list(["x86_64", "kvm", "hvm"])],
        "pci_device_pools": objects.PciDevicePoolList(objects=[]),
        "cpu_allocation_ratio": 1.0,
        "ram_allocation_ratio": 1.0,
        "disk_allocation_ratio": 1.0,
    }


def ask(admin: context.RequestContext, times: int) -> list[str]:
    """Where the scheduler would put each of so many instances."""
    rpc.init(CONF)
    scheduler = rpcapi.SchedulerAPI()
    return [scheduler_choice(admin, scheduler) for _ in range(times)]


def scheduler_choice(admin: context.RequestContext, scheduler: rpcapi.SchedulerAPI) -> str:
    instance = uuidutils.generate_uuid()
    flavor = objects.Flavor(
        flavorid="f", name="f", vcpus=1, memory_mb=128, root_gb=0, ephemeral_gb=0, swap=0,
        is_public=True, extra_specs={},
    )  # fmt: skip
    spec = objects.RequestSpec(
        admin, instance_uuid=instance, flavor=flavor, num_instances=1,
        image=objects.ImageMeta(properties=objects.ImageMetaProps()),
        project_id=admin.project_id, user_id=admin.user_id, pci_requests=None, numa_topology=None,
        availability_zone=None, force_hosts=None, force_nodes=None, ignore_hosts=None, retry=None,
        limits=objects.SchedulerLimits(), scheduler_hints={}, instance_group=None,
        requested_destination=None, security_groups=objects.SecurityGroupList(),
        network_metadata=objects.NetworkMetadata(physnets=set(), tunneled=False), is_bfv=False,
        requested_resources=[], request_level_params=objects.RequestLevelParams(),
        requested_networks=objects.NetworkRequestList(),
    )  # fmt: skip
    found = scheduler.select_destinations(admin, spec, [instance], return_objects=True)
    return str(found[0][0].service_host)


def reach(admin: context.RequestContext, host: str) -> str:
    """The response of nova-compute to an RPC."""
    rpc.init(CONF)
    action = "startup"  # with the fake driver, which sends it back
    return str(compute_rpcapi.ComputeAPI().host_power_action(admin, host=host, action=action))


def uptime(admin: context.RequestContext, host: str) -> str:
    """The response of nova-compute to an RPC for which it does not ask libvirt."""
    rpc.init(CONF)
    return str(compute_rpcapi.ComputeAPI().get_host_uptime(admin, host=host))


def notify(times: int) -> list[float]:
    """Announce so many live migrations as nova-compute does; how many seconds each waits."""
    rpc.init(CONF)
    notifier = rpc.get_notifier("compute", host="cmp1")
    waits = []
    for _ in range(times):
        admin = context.RequestContext("user", "project", is_admin=True)
        payload = {"instance_id": uuidutils.generate_uuid(), "host": "cmp2"}
        began = time.monotonic()
        for step in ("start", "end"):
            notifier.info(admin, f"compute.instance.live_migration.pre.{step}", payload)
        waits.append(round(time.monotonic() - began, 2))
    return waits


def main(conf: str, command: str, *arguments: str) -> None:
    files = [argument for path in conf.split(",") for argument in ("--config-file", path)]
    config.parse_args(["nova-scheduler", *files])
    objects.register_all()
    base.NovaObject.indirection_api = None
    admin = context.RequestContext("user", "project", is_admin=True)
    if command == "hosts":
        hosts(admin, list(arguments))
        return
    commands = {
        "ask": lambda: ask(admin, int(arguments[0])),
        "reach": lambda: reach(admin, arguments[0]),
        "uptime": lambda: uptime(admin, arguments[0]),
        "notify": lambda: notify(int(arguments[0])),
    }
    print(json.dumps(commands[command]()))


if __name__ == "__main__":
    main(*sys.argv[1:])
