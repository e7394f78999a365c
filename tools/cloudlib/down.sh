# shellcheck shell=bash
# Stop the cloud, in any state.

cmd_down() {
    local purge=
    case ${1:-} in
        '') ;;
        --purge) purge=1 ;;
        *) refuse "down: unknown option $1" ;;
    esac
    [[ -d $CM_STATE ]] || return 0
    take_lock
    say "stopping all daemons"
    stop_all
    sweep_namespaces
    remove_network
    restore_autogroup
    rm -f "$CM_STATE"/run/*.pid "$CM_STATE"/run/*.ready "$CM_STATE/cloud.json" "$CM_STATE/settings/product"
    if [[ -n $purge ]]; then
        case $CM_STATE in / | /var | /var/lib | /home | /root | '') die "will not remove $CM_STATE" ;; esac
        rm -f "$BACKPORTS_LIST"
        rm -rf --one-file-system "$CM_STATE"
        say "$CM_STATE is gone"
    fi
    say "down"
}

# In parallel. Only the databases and the bus need a graceful shutdown.
stop_all() {
    local name
    for name in $(daemon_names); do
        case $name in
            *.host | control.mariadb | control.rabbitmq) ;;
            *) daemon_kill "$name" & ;;
        esac
    done
    wait
    daemon_stop control.mariadb 15 &
    daemon_stop control.rabbitmq 15 &
    wait
}

# Ends all processes that are left in the network namespaces: guests, privsep
# helpers, the engines of the agent, and the processes that hold the namespaces.
sweep_namespaces() {
    signal_namespaces TERM
    wait_until 2 namespaces_empty && return 0
    signal_namespaces KILL
    wait_until 10 namespaces_empty || die "some processes do not end: $(namespace_pids | tr '\n' ' ')"
}

signal_namespaces() {  # SIGNAL
    local pid
    for pid in $(namespace_pids); do
        kill -"$1" "$pid" 2> /dev/null || true
    done
}

namespaces_empty() { [[ -z $(namespace_pids) ]]; }
