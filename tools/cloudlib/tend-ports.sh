#!/bin/bash
# Runs on a compute host: attaches the taps that Nova creates for guests to the bridge.
set -euo pipefail

join() {  # TAP
    # With the bridge's MTU, for large packets. The tap may be gone already.
    ip link set "$1" mtu "$(< /sys/class/net/br-int/mtu)" master br-int up 2> /dev/null || true
}

exec 3< <(exec ip -oneline monitor link) # before the list, so that no tap is missed
for path in /sys/class/net/tap*; do
    [[ ! -e $path ]] || join "${path##*/}"
done
while read -r _ device flags; do
    device=${device%%[:@]*}
    [[ $device == tap* && $flags != *"master br-int"* ]] || continue
    join "$device"
done <&3
