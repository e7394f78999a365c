# shellcheck shell=bash
# Hosts: a network, mount and host-name namespace each, held by one sleeping
# process, and a bridge in a namespace of its own that joins them.

CM_ENTER=()

# Two cores carry what has machines of its own in a real cloud, beside whatever else this machine
# does. The data path has real-time priorities: first the edge, then users, then the hypervisors.
# Nothing else can keep it waiting, neither the control plane nor foreign processes, as nothing
# could if it had its own machines. Niceness cannot do that: a process that runs keeps its core for
# a slice of 3 ms, whoever wakes up meanwhile. The control plane comes before foreign processes.
share() {  # HOST [SERVICE]: the command that starts a process with its share
    case $1.${2:-} in
        cache.agent) data_path 3 -20 ;;
        client.*) data_path 2 -10 ;;
        *.libvirtd | *.storage | *.ports) data_path 1 -16 ;;
        *) echo "${CM_BEHIND[@]}" ;;
    esac
}
CM_BEHIND=(chrt --other 0 nice -n -5)

# Niceness is for a control group that is allowed no real time.
data_path() {  # PRIORITY NICENESS
    if chrt --rr 1 true 2> /dev/null; then
        echo chrt --rr "$1"
    else
        echo nice -n "$2"
    fi
}

# Real-time processes of one priority take turns; a slice of the kernel's 100 ms is too long for
# the threads of two QEMUs on two cores.
SLICE=/proc/sys/kernel/sched_rr_timeslice_ms

shorten_slices() {
    [[ -w $SLICE && $(cat $SLICE) != 4 ]] || return 0
    cm_save_setting rr_timeslice "$(cat $SLICE)"
    echo 4 > $SLICE
}

restore_slices() {
    local before
    before=$(cm_setting rr_timeslice '')
    [[ -n $before && -w $SLICE ]] || return 0
    echo "$before" > $SLICE
}

# Where the kernel groups processes by session, every daemon is a group of its own and its niceness
# counts for nothing: the control plane would starve guests that have just been resumed.
AUTOGROUP=/proc/sys/kernel/sched_autogroup_enabled

honour_niceness() {
    [[ -w $AUTOGROUP && $(cat $AUTOGROUP) == 1 ]] || return 0
    cm_save_setting autogroup 1
    echo 0 > $AUTOGROUP
}

restore_autogroup() {
    [[ $(cm_setting autogroup 0) == 1 && -w $AUTOGROUP ]] || return 0
    echo 1 > $AUTOGROUP
}

host_command() {  # HOST [SERVICE]: sets CM_ENTER, which runs a command inside
    local pid words
    pid=$(daemon_pid "$1.host") || die "host $1 is not up (tools/cloud up)"
    read -ra words <<< "$(share "$@")"
    CM_ENTER=("${words[@]}" nsenter -t "$pid" -n -m -u --)
}

in_host() {  # HOST COMMAND...
    host_command "$1"
    shift
    "${CM_ENTER[@]}" "$@"
}

hosts_file() {
    local host
    echo "127.0.0.1 localhost"
    for host in $(cm_hosts); do echo "$(cm_ip "$host") $host"; done
}

ensure_network() {
    ip netns list | grep -qw "$CM_NS-net" || ip netns add "$CM_NS-net"
    if ! ip -n "$CM_NS-net" link show br0 > /dev/null 2>&1; then
        ip -n "$CM_NS-net" link add br0 type bridge
        ip -n "$CM_NS-net" link set br0 up
        ip -n "$CM_NS-net" link set lo up
    fi
    mkdir -p "$CM_STATE"/{run,log,settings}
    hosts_file > "$CM_STATE/hosts"
    honour_niceness
    shorten_slices
    local host
    for host in $(cm_hosts); do ensure_host "$host"; done
}

ensure_host() {  # HOST
    local host=$1 ns=$CM_NS-$1
    ip netns list | grep -qw "$ns" || ip netns add "$ns"
    ip -n "$ns" link set lo up
    if ! ip -n "$ns" link show eth0 > /dev/null 2>&1; then
        ip -n "$CM_NS-net" link del "to-$host" 2> /dev/null || true
        ip -n "$CM_NS-net" link add "to-$host" mtu "$CM_MTU" type veth \
            peer name eth0 mtu "$CM_MTU" netns "$ns"
        ip -n "$CM_NS-net" link set "to-$host" master br0 up
        ip -n "$ns" link set eth0 up
    fi
    case $host in
        compute*) ;;  # the address goes on br-int
        *) set_address "$ns" eth0 "$(cm_ip "$host")" ;;
    esac
    [[ $host != cache ]] || front_addresses
    hold_host "$host"
}

set_address() {  # NETNS DEVICE ADDRESS
    ip -n "$1" addr replace "$3/24" dev "$2"
}

front_addresses() {
    local ip
    for ip in "${CM_FRONT_IPS[@]}"; do set_address "$CM_NS-cache" eth0 "$ip"; done
}

hold_host() {  # HOST: the process that keeps its namespaces
    local host=$1 ready=$CM_STATE/run/$1.ready pid
    daemon_pid "$host.host" > /dev/null && return 0
    rm -f "$ready"
    (
        [[ -z ${CM_LOCK_FD:-} ]] || exec {CM_LOCK_FD}>&-
        exec setsid ip netns exec "$CM_NS-$host" \
            unshare -m -u --propagation private \
            bash "$CM_LIB/hold-host.sh" "$host" "$CM_STATE" "$ready"
    ) >> "$(log_file "$host.host")" 2>&1 < /dev/null &
    pid=$!
    disown "$pid"
    record_pid "$host.host" "$pid"
    wait_daemon "$host.host" 20 test -e "$ready"
}

namespaces() {
    ip netns list 2> /dev/null | awk -v name="$CM_NS" '$1 ~ "^" name "-" { print $1 }'
}

remove_network() {
    local ns
    for ns in $(namespaces); do
        ip netns del "$ns" || true
    done
}

# Whatever runs in a namespace of ours was started there by us.
namespace_pids() {
    local ns
    for ns in $(namespaces); do
        ip netns pids "$ns" 2> /dev/null || true
    done
}
