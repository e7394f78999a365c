#!/bin/bash
# Runs on a compute: when a guest's tap device goes away and its port stays in
# Open vSwitch (a migration to here that was rolled back), remove the port. The
# kernel's datapath copes with a device of the same name that comes back; the
# user-space one goes on with the dead one, and the guest is cut off.
set -euo pipefail

ip -oneline monitor link 2> /dev/null | while read -r word _ device _; do
    device=${device%:}
    [[ $word == Deleted && $device == tap* && ! -e /sys/class/net/$device ]] || continue
    # In the usual case libvirt does this itself, a moment later.
    ovs-vsctl --timeout=10 --if-exists del-port br-int "$device" || true
done
