# shellcheck shell=bash
# Hosts. Each is a network, mount and host-name namespace, held by a sleeping
# process. A bridge in a separate namespace connects them.

CM_ENTER=()

# In a real cloud each host has its own CPUs. Here they share two cores with all other processes of
# the machine. The edge and the users need little CPU time, but immediately: they have real-time
# priorities. Niceness is not enough for them, because a running process keeps its core for up to
# 3 ms when a nicer one wakes up. Hypervisors have niceness: real time is not for guests that compute
# for seconds, as the kernel stops it for 50 ms in each second. The control plane comes before the
# machine's other processes.
share() {  # HOST [SERVICE]: the command that starts a process with its share
    case $1.${2:-} in
        cache.agent) real_time 2 -20 ;;
        client.*) real_time 1 -10 ;;
        *.libvirtd | *.storage | *.ports) echo nice -n -19 ;;
        *) echo "${CM_BEHIND[@]}" ;;
    esac
}
CM_BEHIND=(chrt --other 0 nice -n -5)

# Niceness is the fallback where the control group permits no real-time priorities.
real_time() {  # PRIORITY NICENESS
    if chrt --rr 1 true 2> /dev/null; then
        echo chrt --rr "$1"
    else
        echo nice -n "$2"
    fi
}

# If the kernel groups processes by session, each daemon is a separate group and its niceness has no
# effect on other daemons.
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
        compute*) ;;  # its address is on br-int
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

private_dirs() {  # HOST
    [[ $1 == compute* ]] || return 0
    echo /run/libvirt /etc/libvirt /etc/sasl2 /var/lib/libvirt /var/log/libvirt /var/cache/libvirt \
        ${LIBVIRT_PKI:+/etc/pki}
}

hold_host() {  # HOST: start the process that holds its namespaces
    local host=$1 ready=$CM_STATE/run/$1.ready pid dirs
    daemon_pid "$host.host" > /dev/null && return 0
    rm -f "$ready"
    read -ra dirs <<< "$(private_dirs "$host")"
    (
        [[ -z ${CM_LOCK_FD:-} ]] || exec {CM_LOCK_FD}>&-
        exec setsid ip netns exec "$CM_NS-$host" \
            unshare -m -u --propagation private \
            bash "$CM_LIB/hold-host.sh" "$host" "$CM_STATE" "$ready" \
            ${dirs[@]+"${dirs[@]}"}
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

# All processes in these namespaces belong to the cloud.
namespace_pids() {
    local ns
    for ns in $(namespaces); do
        ip netns pids "$ns" 2> /dev/null || true
    done
}
