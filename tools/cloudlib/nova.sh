# shellcheck shell=bash
# Nova: the common configuration, and its API, scheduler and conductor.

nova_dir() { echo "$CM_STATE/$1/nova"; }
nova_conf() { echo "$(nova_dir "$1")/nova.conf"; }
cell_conf() { echo "$(nova_dir control)/cell1.conf"; }  # of the cell's own conductor

nova_common() {  # HOST VHOST
    local dir
    dir=$(nova_dir "$1")
    cat << CONF
[DEFAULT]
host = $1
my_ip = $(cm_ip "$1")
state_path = $dir
transport_url = $(rabbit_url "$2")
use_stderr = true
debug = false
# Long intervals: periodic tasks would take CPU time from the measurement.
report_interval = 3
service_down_time = 30
heal_instance_info_cache_interval = 600
sync_power_state_interval = 600
update_resources_interval = 60
running_deleted_instance_poll_interval = 3600
shelved_poll_interval = -1
instance_usage_audit = false
# A restart must be quick.
graceful_shutdown_timeout = 12
manager_shutdown_timeout = 3
[oslo_concurrency]
lock_path = $dir/lock
[api]
auth_strategy = keystone
[scheduler]
workers = 1
discover_hosts_in_cells_interval = -1
[conductor]
workers = 1
[cache]
enabled = true
backend = dogpile.cache.memory
[vnc]
enabled = false
[spice]
enabled = false
$NOVA_OPTIONS
CONF
    bus_section
    notification_section "$2"
    nova_clients
}

nova_clients() {
    authtoken_section compute
    echo '[placement]'
    auth_lines
    echo '[neutron]'
    auth_lines
    echo '[service_user]'
    echo 'send_service_user_token = true'
    auth_lines
    echo '[glance]'
    echo "region_name = $REGION"
}

# Where the cell has a separate vhost, the other services are on that of cell0 ("superconductor").
configure_nova_control() {
    local conf database=nova
    conf=$(nova_conf control)
    [[ -z $BUS_CELL_VHOST ]] || database=nova_cell0
    mkdir -p "$(nova_dir control)/lock"
    cp "$CM_VENV/etc/nova/api-paste.ini" "$(nova_dir control)/"
    {
        nova_common control "$BUS_VHOST"
        section database "connection = $(db_url "$database")"
        section api_database "connection = $(db_url nova_api)"
    } > "$conf.new"
    if product_is_on; then nova_cachemig_configure_controller "$conf.new"; fi
    install_conf "$conf"
    [[ -z $BUS_CELL_VHOST ]] || configure_nova_cell
}

configure_nova_cell() {
    {
        nova_common control "$BUS_CELL_VHOST"
        section database "connection = $(db_url nova)"
        # Two conductors of one name on one host would use the same names for their queues.
        section oslo_messaging_rabbit 'processname = nova-cell-conductor'
    } > "$(cell_conf).new"
    install_conf "$(cell_conf)"
}

# Leaves a marker if the configuration has changed, so that `up` restarts the daemon.
install_conf() {  # FILE: FILE.new takes its place
    if ! cmp -s "$1.new" "$1"; then
        mv "$1.new" "$1"
        touch "$1.changed"
    else
        rm -f "$1.new"
    fi
}

nova_manage() {
    in_host control "$CM_BIN/nova-manage" --config-file "$(nova_conf control)" "$@"
}

nova_manage_cell() {
    local files=()
    [[ -z $BUS_CELL_VHOST ]] || files=(--config-file "$(cell_conf)")
    nova_manage ${files[@]+"${files[@]}"} "$@"
}

init_nova() {
    is_done nova && return 0
    nova_manage api_db sync
    nova_manage cell_v2 map_cell0 --database_connection "$(db_url nova_cell0)"
    nova_manage db sync
    [[ -z $BUS_CELL_VHOST ]] || nova_manage_cell db sync --local_cell
    nova_manage cell_v2 list_cells | grep -qw cell1 \
        || nova_manage_cell cell_v2 create_cell --name cell1
    mark_done nova
}

start_nova_api() {
    start_wsgi nova-api 8774 OS_NOVA_CONFIG_DIR="$(nova_dir control)" \
        OS_NOVA_CONFIG_FILES='api-paste.ini;nova.conf'
}

start_nova_scheduler() { start_nova_control scheduler; }
start_nova_conductor() { start_nova_control conductor; }

start_nova_cell_conductor() {
    [[ -n $BUS_CELL_VHOST ]] || return 0
    daemon_start control nova-cell-conductor "$CM_BIN/nova-conductor" --config-file "$(cell_conf)"
}

start_nova_control() {  # scheduler|conductor
    daemon_start control "nova-$1" \
        "$CM_BIN/nova-$1" --config-file "$(nova_conf control)"
}

discover_hosts() {
    local known
    known=$(cm_computes | wc -l)
    is_done discovered "$known" && return 0
    wait_until 120 computes_registered "$known" \
        || die "not every nova-compute registered itself: see tools/cloud logs nova-compute"
    nova_manage cell_v2 discover_hosts > /dev/null 2>&1
    mark_done discovered "$known"
}

computes_registered() {  # NUMBER
    local found
    found=$(sql_value 'SELECT COUNT(*) FROM nova.compute_nodes WHERE deleted = 0')
    ((found >= $1))
}
