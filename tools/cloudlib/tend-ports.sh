#!/bin/bash
# Runs on a compute: joins the taps that Nova makes for guests to the host's bridge.
set -euo pipefail

join() {  # TAP
    # The bridge's MTU, before anything large comes; it may be gone again.
    ip link set "$1" mtu "$(< /sys/class/net/br-int/mtu)" master br-int up 2> /dev/null || true
}

exec 3< <(exec ip -oneline monitor link) # first, so that none is missed
for path in /sys/class/net/tap*; do
    [[ ! -e $path ]] || join "${path##*/}"
done
while read -r _ device flags; do
    device=${device%%[:@]*}
    [[ $device == tap* && $flags != *"master br-int"* ]] || continue
    join "$device"
done <&3
