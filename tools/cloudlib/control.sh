# shellcheck shell=bash
# Commands for a running cloud, for its user and for the scenario tests.

cmd_exec() {
    local host=${1:?exec: which host?}
    shift
    [[ ${1:-} != -- ]] || shift
    (($#)) || die "exec: no command"
    case $host in
        control | client) with_openrc "$host" "$@" ;;
        *) in_host "$host" "$@" ;;
    esac
}

hosts_of() {  # SERVICE: prints the hosts that run it
    case $1 in
        mariadb | rabbitmq | keystone | placement | glance | neutron | nova-api | \
            nova-scheduler | nova-conductor | nova-cell[12]-conductor) echo control ;;
        ports | libvirtd | storage | nova-compute) cm_computes ;;
        agent) echo cache ;;
        *) refuse "unknown service $1" ;;
    esac
}

service_name() {
    case $1 in
        rabbit) echo rabbitmq ;;
        mysql) echo mariadb ;;
        compute) echo nova-compute ;;
        libvirt) echo libvirtd ;;
        *) echo "$1" ;;
    esac
}

each_host() {  # FUNCTION SERVICE [HOST]
    local what=$1 service host hosts
    service=$(service_name "${2:?which service?}")
    hosts=$(hosts_of "$service")
    [[ -z ${3:-} ]] || hosts=$3
    for host in $hosts; do "$what" "$service" "$host"; done
}

cmd_stop() { each_host stop_service "$@"; }
cmd_kill() { each_host kill_service "$@"; }
cmd_start() { each_host start_service "$@"; }

stop_service() { daemon_stop "$2.$1" 30; }
kill_service() { daemon_kill "$2.$1"; }

start_service() {
    "start_${1//-/_}" "$2"
    case $1 in nova-compute) wait_compute "$2" ;; esac
}

# A compute host can take part in migrations after its first report.
wait_compute() {  # HOST
    wait_daemon "$1.nova-compute" 90 compute_reported "$1"
}

compute_reported() {  # HOST: since its process began
    local began seen database
    database=$(cell_database "$(cell_of "$1")")
    read -r _ _ began < "$(pid_file "$1.nova-compute")"
    seen=$(sql_value "SELECT UNIX_TIMESTAMP(CONVERT_TZ(last_seen_up, '+00:00', @@session.time_zone))
         FROM $database.services WHERE \`host\` = '$1' AND \`binary\` = 'nova-compute' AND deleted = 0")
    [[ ${seen%%.*} =~ ^[0-9]+$ ]] && ((${seen%%.*} > began))
}

# An idle nova-compute can be killed safely. It is back much sooner than after a
# graceful shutdown.
restart_computes() {  # HOST...
    local host
    wait_until 60 computes_idle || die "nova-compute is busy with a guest: try again later"
    for host in "$@"; do
        daemon_kill "$host.nova-compute"
        rm -f "$(nova_conf "$host").changed"
        start_nova_compute "$host"
    done
    for host in "$@"; do wait_compute "$host"; done
}

computes_idle() {
    [[ $(sum_of_cells 'SELECT
        (SELECT COUNT(*) FROM CELL.instances WHERE deleted = 0 AND task_state IS NOT NULL)
        + (SELECT COUNT(*) FROM CELL.migrations WHERE deleted = 0 AND status IN
           ("accepted", "queued", "preparing", "running", "post-migrating"))') == 0 ]]
}

cmd_refresh() {
    local hosts
    product_is_on || die "nova-cachemig is not enabled"
    take_lock
    rm -f "$CM_STATE/done/project"
    install_project
    each_compute configure_nova_compute
    daemon_stop cache.agent
    configure_agent
    start_agent
    mapfile -t hosts < <(cm_computes)
    restart_computes "${hosts[@]}"
    say "nova-compute and the agent run the project as it is now"
}

cmd_logs() {
    local file pattern=${1:-}
    for file in "$CM_STATE"/log/*"$pattern"*.log; do
        [[ -s $file ]] || continue
        printf '==> %s\n' "$file"
        tail -n 40 "$file"
    done
}

cmd_status() {
    if (($#)); then
        server_tool status "$@"
        return
    fi
    local name
    for name in $(daemon_names); do
        printf '%-28s %s\n' "$name" "$(daemon_pid "$name" || echo 'not running')"
    done
}
