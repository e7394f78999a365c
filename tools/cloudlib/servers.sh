# shellcheck shell=bash
# Guests: boot, migrate, abort. servers.py does the work, from the client's host.

server_tool() {
    with_openrc client "${CM_BEHIND[@]}" "$CM_BIN/python" "$CM_LIB/servers.py" "$@"
}

cmd_boot() { server_tool boot "$@"; }
cmd_delete() { server_tool delete "$@"; }
cmd_abort() { server_tool abort "$@"; }
cmd_force_complete() { server_tool force-complete "$@"; }

cmd_migrate() {
    local pass=() settings=()
    while (($#)); do
        case $1 in
            --limit-bandwidth) settings+=("bandwidth=$2"); shift ;;
            --downtime) settings+=("downtime=$2" downtime_steps=3 downtime_delay=3); shift ;;
            --postcopy) settings+=(permit_post_copy=true); pass+=(--postcopy) ;;
            *) pass+=("$1") ;;
        esac
        shift
    done
    ((${#settings[@]} == 0)) || cmd_set_migration "${settings[@]}"
    server_tool migrate --state "$CM_STATE" ${pass[@]+"${pass[@]}"}
}
