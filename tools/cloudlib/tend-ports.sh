#!/bin/bash
# Runs on a compute: what happens between libvirt's tap devices and Open vSwitch's
# user-space datapath when they come and go.
#
# A device that goes away while its port stays (a migration to here that was rolled
# back): the port is removed. The kernel's datapath copes with a device of the same
# name that comes back; the user-space one goes on with the dead one, and the guest
# is cut off.
#
# A device that comes: libvirt sets it up while the switch sets it promiscuous, each
# by reading all flags and writing them back. About one in a hundred stays down.
set -euo pipefail

ip -oneline monitor link 2> /dev/null | while read -r word device flags rest; do
    if [[ $word == Deleted ]]; then
        read -r _ device _ <<< "$device $flags $rest"
        device=${device%:}
        [[ $device == tap* && ! -e /sys/class/net/$device ]] || continue
        # In the usual case libvirt does this itself, a moment later.
        ovs-vsctl --timeout=10 --if-exists del-port br-int "$device" || true
        continue
    fi
    device=${device%:}
    [[ $device == tap* && $flags != *[\<,]UP[,\>]* ]] || continue
    sleep 0.2 # both are done with it by then
    ip link set "$device" up 2> /dev/null || true # it may be gone again
done
