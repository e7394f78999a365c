# shellcheck shell=bash
# Nova: the common configuration, and its API, scheduler and conductor.

nova_dir() { echo "$CM_STATE/$1/nova"; }
nova_conf() { echo "$(nova_dir "$1")/nova.conf"; }
cell_conf() { echo "$(nova_dir control)/cell$1.conf"; }  # CELL: of its conductor

cells() { seq "$((${#BUS_CELL_VHOSTS[@]} > 1 ? ${#BUS_CELL_VHOSTS[@]} : 1))"; }

cell_of() {  # HOST
    if ((${#BUS_CELL_VHOSTS[@]} > 1)) && [[ $1 == compute[3-9] ]]; then echo 2; else echo 1; fi
}

cell_database() { if (($1 == 1)); then echo nova; else echo "nova_cell$1"; fi; }  # CELL

sum_of_cells() {  # QUERY, in which CELL is the name of a database
    local cell sum=0
    for cell in $(cells); do
        sum=$((sum + $(sql_value "${1//CELL/$(cell_database "$cell")}")))
    done
    echo "$sum"
}

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

# Where the cells have separate vhosts, the other services are on that of cell0 ("superconductor").
configure_nova_control() {
    local conf cell database=nova
    conf=$(nova_conf control)
    ((${#BUS_CELL_VHOSTS[@]} == 0)) || database=nova_cell0
    mkdir -p "$(nova_dir control)/lock"
    cp "$CM_VENV/etc/nova/api-paste.ini" "$(nova_dir control)/"
    {
        nova_common control "$BUS_VHOST"
        section database "connection = $(db_url "$database")"
        section api_database "connection = $(db_url nova_api)"
    } > "$conf.new"
    if product_is_on; then nova_cachemig_configure_controller "$conf.new"; fi
    install_conf "$conf"
    ((${#BUS_CELL_VHOSTS[@]} == 0)) || for cell in $(cells); do configure_nova_cell "$cell"; done
}

configure_nova_cell() {  # CELL
    {
        nova_common control "$(cell_vhost "$1")"
        section database "connection = $(db_url "$(cell_database "$1")")"
        # Two conductors of one name on one host would use the same names for their queues.
        section oslo_messaging_rabbit "processname = nova-cell$1-conductor"
    } > "$(cell_conf "$1").new"
    install_conf "$(cell_conf "$1")"
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

nova_manage_cell() {  # CELL COMMAND...
    local files=()
    ((${#BUS_CELL_VHOSTS[@]} == 0)) || files=(--config-file "$(cell_conf "$1")")
    shift
    nova_manage ${files[@]+"${files[@]}"} "$@"
}

init_nova() {
    is_done nova && return 0
    nova_manage api_db sync
    nova_manage cell_v2 map_cell0 --database_connection "$(db_url nova_cell0)"
    nova_manage db sync
    local cell
    for cell in $(cells); do init_cell "$cell"; done
    mark_done nova
}

init_cell() {  # CELL
    ((${#BUS_CELL_VHOSTS[@]} == 0)) || nova_manage_cell "$1" db sync --local_cell
    nova_manage cell_v2 list_cells | grep -qw "cell$1" \
        || nova_manage_cell "$1" cell_v2 create_cell --name "cell$1"
}

start_nova_api() {
    start_wsgi nova-api 8774 OS_NOVA_CONFIG_DIR="$(nova_dir control)" \
        OS_NOVA_CONFIG_FILES='api-paste.ini;nova.conf'
}

start_nova_scheduler() { start_nova_control scheduler; }
start_nova_conductor() { start_nova_control conductor; }

start_nova_cell1_conductor() { start_cell_conductor 1; }
start_nova_cell2_conductor() { start_cell_conductor 2; }

start_cell_conductor() {  # CELL: nothing if it has none
    ((${#BUS_CELL_VHOSTS[@]} >= $1)) || return 0
    daemon_start control "nova-cell$1-conductor" \
        "$CM_BIN/nova-conductor" --config-file "$(cell_conf "$1")"
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
    found=$(sum_of_cells 'SELECT COUNT(*) FROM CELL.compute_nodes WHERE deleted = 0')
    ((found >= $1))
}
