"""Boot, migrate and abort guests through the APIs, as a user of the cloud does."""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import openstack
from openstack.connection import Connection

MICROVERSION = "2.96"
PORT = 80
RUNNING = 1  # Nova's power state


class Failure(Exception):
    """An error for the user; the text is one sentence."""


def say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:6.1f} s] {text}", file=sys.stderr, flush=True)


def find(cloud: Connection, name: str) -> Any:
    server = cloud.compute.find_server(name, all_projects=True)
    if server is None:
        raise Failure(f"no guest is named {name}")
    return cloud.compute.get_server(server.id)


def address_of(server: Any) -> str:
    for addresses in (server.addresses or {}).values():
        for entry in addresses:
            return str(entry["addr"])
    raise Failure(f"the guest {server.name} has no address")


def poll(cloud: Connection, server: Any, wanted: str, limit: float) -> Any:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        server = cloud.compute.get_server(server.id)
        if server.status == wanted:
            return server
        if server.status == "ERROR":
            fault = (server.fault or {}).get("message", "no fault reported")
            raise Failure(f"{server.name} is in ERROR: {fault}")
        time.sleep(0.5)
    raise Failure(f"{server.name} is {server.status}, not {wanted}, after {limit} s")


def responds(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{PORT}/health", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def boot(cloud: Connection, args: argparse.Namespace) -> None:
    started = time.monotonic()
    old = cloud.compute.find_server(args.name)
    if old:
        raise Failure(f"a guest {args.name} exists already, {old.status}")
    properties = dict(item.split("=", 1) for item in args.property)
    flavor = cloud.compute.find_flavor(f"m{args.memory}")
    if flavor is None:
        raise Failure(f"no flavor of {args.memory} MB")
    network = cloud.network.find_network("guests", ignore_missing=False)
    image = cloud.image.find_image("guest", ignore_missing=False)
    wish = {"host": args.host} if args.host else {}
    server = cloud.compute.create_server(
        name=args.name,
        image_id=image.id,
        flavor_id=flavor.id,
        networks=[{"uuid": network.id}],
        metadata=properties,
        **wish,
    )
    server = poll(cloud, server, "ACTIVE", 120)
    address = address_of(server)
    say(started, f"{args.name} is ACTIVE on {server.hypervisor_hostname}")
    deadline = time.monotonic() + 90
    while not responds(address):
        if time.monotonic() > deadline:
            raise Failure(
                f"{args.name} does not respond at {address}; see: openstack console log show"
            )
        time.sleep(0.2)
    say(started, f"{args.name} responds")
    print(address)


def delete(cloud: Connection, args: argparse.Namespace) -> None:
    names = args.name
    if args.all:
        names = [s.id for s in cloud.compute.servers(all_projects=True)]
    for name in names:
        server = cloud.compute.find_server(name, all_projects=True)
        if server:
            cloud.compute.delete_server(server)
    for name in names:
        deadline = time.monotonic() + 60
        while cloud.compute.find_server(name, all_projects=True):
            if time.monotonic() > deadline:
                raise Failure(f"{name} is not gone after 60 s")
            time.sleep(0.5)


def status(cloud: Connection, args: argparse.Namespace) -> None:
    server = find(cloud, args.name)
    print(
        json.dumps(
            {
                "name": server.name,
                "id": server.id,
                "status": server.status,
                "task": server.task_state,
                "host": server.hypervisor_hostname,
                "address": address_of(server),
            }
        )
    )


def dirty(cloud: Connection, args: argparse.Namespace) -> None:
    """Set the rate and the area of memory writes of one guest, or of all guests."""
    everyone = cloud.compute.servers(all_projects=True)
    for server in [find(cloud, args.name)] if args.name else everyone:
        url = f"http://{address_of(server)}:{PORT}/dirty?rate={args.rate}&size={args.size}"
        with urllib.request.urlopen(url, timeout=30) as response:
            print(server.name, response.read().decode().strip())


def running_migration(cloud: Connection, server: Any) -> Any:
    for migration in cloud.compute.server_migrations(server):
        return migration
    raise Failure(f"no migration of {server.name} is running")


def abort(cloud: Connection, args: argparse.Namespace) -> None:
    server = find(cloud, args.name)
    cloud.compute.abort_server_migration(
        running_migration(cloud, server), server, ignore_missing=False
    )


def reset_state(cloud: Connection, server: Any) -> None:
    """Reset the state of a guest that a failed migration left in ERROR.

    Nova 34.0.0 rolls an aborted or failed migration back. One or two seconds later it
    sets the guest to ERROR, although the guest still runs on the source host.
    """
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        server = cloud.compute.get_server(server.id)
        if server.status == "ERROR" and server.power_state == RUNNING:
            cloud.compute.reset_server_state(server, "active")
            print(f"cloud: {server.name} still runs; its ERROR state is reset", file=sys.stderr)
            return
        time.sleep(0.5)


def force_complete(cloud: Connection, args: argparse.Namespace) -> None:
    server = find(cloud, args.name)
    cloud.compute.force_complete_server_migration(running_migration(cloud, server), server)


def latest(cloud: Connection, server: Any) -> Any:
    """The newest migration of the server, in any state."""
    found = list(cloud.compute.migrations(instance_uuid=server.id))
    return max(found, key=lambda m: m.id, default=None)


def ask_nova(args: argparse.Namespace, server: Any) -> None:
    """Run the command that a user would type."""
    command = ["openstack", "server", "migrate", "--live-migration"]
    if args.to:
        command += ["--host", args.to]
    if args.block:
        command.append("--block-migration")
    done = subprocess.run([*command, server.id], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(done.stderr.strip() or "openstack server migrate failed")


def follow(cloud: Connection, server: Any, before: int | None, limit: float) -> tuple[Any, Any]:
    """Wait for the end of the migration that is newer than ``before``."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        migration = latest(cloud, server)
        if (
            migration
            and migration.id != before
            and migration.status in ("completed", "error", "failed", "cancelled")
        ):
            server = cloud.compute.get_server(server.id)
            if server.status != "MIGRATING":
                return migration, server
        time.sleep(0.5)
    raise Failure(f"the migration did not end in {limit} s")


def post_copy(cloud: Connection, server: Any, watch: Any) -> None:
    """Request the switch to post-copy after the first pass over memory.

    An earlier request fails, and Nova only logs that.
    """
    deadline = time.monotonic() + 120
    while watch.iteration < 2:
        if time.monotonic() > deadline:
            raise Failure("the first pass over memory took more than 120 s")
        time.sleep(0.05)
    cloud.compute.force_complete_server_migration(running_migration(cloud, server), server)


def migrate(cloud: Connection, args: argparse.Namespace) -> None:
    from blackout import Watch

    started = time.monotonic()
    server = find(cloud, args.name)
    source = server.hypervisor_hostname
    before = latest(cloud, server)
    hosts = json.loads(pathlib.Path(args.state, "cloud.json").read_text())["hosts"]
    watch = Watch(
        server.id,
        {
            name: f"{args.state}/{name}/fs/run/libvirt/libvirt-sock-ro"
            for name in hosts
            if name.startswith("compute")
        },
    )
    watch.start()
    ask_nova(args, server)
    say(started, f"asked Nova to move {server.name} away from {source}")
    if args.postcopy:
        post_copy(cloud, server, watch)
    if args.no_wait:
        return
    migration, server = follow(cloud, server, before.id if before else None, args.timeout)
    report = watch.report()
    say(
        started,
        f"{migration.status}: {source} -> "
        f"{server.hypervisor_hostname}, blackout {report['blackout_s']} s",
    )
    print(
        json.dumps(
            {
                "status": migration.status,
                "source": source,
                "host": server.hypervisor_hostname,
                "seconds": round(time.monotonic() - started, 2),
                **report,
            }
        )
    )
    if migration.status != "completed":
        reset_state(cloud, server)
        raise Failure(f"the migration ended as {migration.status}")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tools/cloud")
    commands = top.add_subparsers(required=True)

    def command(
        name: str, function: Callable[[Connection, argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.set_defaults(run=function)
        return made

    one = command("boot", boot)
    one.add_argument("name")
    one.add_argument("--host")
    one.add_argument("--property", action="append", default=[])
    one.add_argument("--memory", type=int, default=256)
    one = command("delete", delete)
    one.add_argument("name", nargs="*")
    one.add_argument("--all", action="store_true")
    for name, function in (
        ("status", status),
        ("abort", abort),
        ("force-complete", force_complete),
    ):
        command(name, function).add_argument("name")
    one = command("dirty", dirty)
    one.add_argument("name", nargs="?")
    one.add_argument("--rate", type=int, required=True)
    one.add_argument("--size", type=int, required=True)
    one = command("migrate", migrate)
    one.add_argument("name")
    one.add_argument("--to")
    one.add_argument("--block", action="store_true")
    one.add_argument("--postcopy", action="store_true")
    one.add_argument("--no-wait", action="store_true")
    one.add_argument("--timeout", type=float, default=300)
    one.add_argument("--state", required=True)
    return top


def main() -> None:
    args = parser().parse_args()
    cloud = openstack.connect(compute_default_microversion=MICROVERSION)
    try:
        args.run(cloud, args)
    except Failure as failure:
        sys.exit(f"cloud: {failure}")


if __name__ == "__main__":
    main()
