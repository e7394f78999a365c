# shellcheck shell=bash
# Whether nova-cachemig leaves the cloud as it found it. The state is a list of lines, one fact
# each, so that diff shows what changed.

COMPARE_DIR=$CM_STATE/compare
COMPARE_GUEST=compare

cmd_state() { cloud_state; }

# Names with a random part and counters of the queue manager are equal for this purpose.
cloud_state() {
    {
        bus_state
        nova_state
        keystone_state
        hosts_state
    } | sed -E 's/[0-9a-f]{32}/UUID/g; s/((reply|fanout)_[^">\t]*):[0-9]+/\1:N/g' | LC_ALL=C sort -u
}

facts() {  # PREFIX: prefixes each line of standard input
    sed "s|^|$1\t|"
}

# One call: rabbitmqctl takes seconds to start.
bus_state() {
    local out=$CM_STATE/control/rabbitmq/state
    rabbitmqctl eval "$(< "$CM_LIB/bus-state.erl"),
        file:write_file(\"$out\", [io_lib:format(\"~0tp~n\", [Fact]) || Fact <- Facts])." > /dev/null
    facts bus < "$out"
}

nova_state() {
    local database cell
    for database in nova_cell0 $(for cell in $(cells); do cell_database "$cell"; done); do
        sql_value "SELECT s.host, s.binary, s.version, s.disabled, s.forced_down
            FROM $database.services s WHERE s.deleted = 0" | facts "$database service"
    done
    sql_value 'SELECT name, transport_url, database_connection, disabled
        FROM nova_api.cell_mappings' | facts 'nova cell'
    sql_value 'SELECT table_schema, table_name, column_name, column_type
        FROM information_schema.columns WHERE table_schema LIKE "nova%"
        OR table_schema IN ("keystone", "neutron", "placement", "glance")' | facts 'table'
    sql_value 'SELECT name, generation > 0 FROM placement.resource_providers' | facts 'placement'
    (cd "$CM_STATE" && sha1sum ./*/nova/*.conf) | facts 'nova file'
}

keystone_state() {
    local table
    for table in local_user role application_credential project; do
        sql_value "SELECT name FROM keystone.$table" | facts "keystone $table"
    done
    sql_value 'SELECT service, path, method FROM keystone.access_rule' | facts 'keystone rule'
    sql_value 'SELECT type, actor_id, target_id, role_id FROM keystone.assignment' \
        | facts 'keystone assignment'
    sql_value 'SELECT interface, url FROM keystone.endpoint' | facts 'keystone endpoint'
}

hosts_state() {
    local host list
    for host in $(cm_computes); do
        for list in list net-list pool-list nwfilter-list secret-list; do
            in_host "$host" virsh -q -c qemu:///system "$list" --all 2> /dev/null \
                || in_host "$host" virsh -q -c qemu:///system "$list"
        done | facts "libvirt $host"
        host_programs "$host" | facts "process $host"
    done
    host_programs cache | facts 'process cache'
    in_host cache nft list ruleset | facts 'firewall cache'
    in_host cache ss -Hltun | awk '{ print $1, $5 }' | facts 'listens cache'
    [[ ! -e $AGENT_DIR ]] || echo "file $AGENT_DIR"
}

host_programs() {  # HOST: of all processes in its network namespace
    local pid
    for pid in $(ip netns pids "$CM_NS-$1"); do cat "/proc/$pid/comm" 2> /dev/null || true; done
}

# The same work comes before both states: a migration, then a start of nova-compute.
cmd_compare() {
    local cloud=$CM_REPO/tools/cloud
    mkdir -p "$COMPARE_DIR"
    [[ -f $CM_STATE/cloud.json ]] || die "no cloud is up"
    "$cloud" disable
    "$cloud" delete --all
    migrate_once
    "$cloud" kill nova-compute
    "$cloud" start nova-compute
    cloud_state > "$COMPARE_DIR/before"
    "$cloud" enable
    migrate_once handed_over
    cloud_state > "$COMPARE_DIR/enabled"
    "$cloud" disable
    cloud_state > "$COMPARE_DIR/after"
    say "$(comm -13 "$COMPARE_DIR"/{before,enabled} | wc -l) facts were added or changed while enabled"
    diff -u "$COMPARE_DIR"/{before,after} || die "nova-cachemig left the cloud different"
    say "the cloud is as it was before: $(wc -l < "$COMPARE_DIR/after") facts"
}

migrate_once() {  # [COMMAND]: called while the guest still exists
    local cloud=$CM_REPO/tools/cloud
    # The first two hosts are in one cell.
    "$cloud" boot "$COMPARE_GUEST" --host compute1 > /dev/null
    [[ -z ${1:-} ]] || protect_guest
    "$cloud" migrate "$COMPARE_GUEST" > "$COMPARE_DIR/migration.json"
    [[ -z ${1:-} ]] || "$1"
    "$cloud" delete "$COMPARE_GUEST"
}

manage() {  # COMMAND...: nova-cachemig-manage on the cache node
    in_host cache "$CM_BIN/nova-cachemig-manage" --config-file "$AGENT_DIR/nova-cachemig.conf" "$@"
}

guest_id() { server_tool status "$COMPARE_GUEST" | sed -E 's/.*"id": "([^"]*)".*/\1/'; }

agent_answers() { manage agent show; }

protect_guest() {
    wait_until 60 agent_answers || die "the agent does not answer: see tools/cloud logs agent"
    manage service add "$COMPARE_GUEST" --instance "$(guest_id)" --port 80 \
        --listen "${CM_FRONT_IPS[0]}:80"
    wait_until 30 front_answers || die "the front address does not answer"
    examine
}

# The computes of a second cell take no part in the migration: the doctor checks their bus.
examine() {
    local host
    doctor cache --config-file "$AGENT_DIR/nova-cachemig.conf" doctor
    for host in $(cm_computes); do doctor "$host" doctor --nova-conf "$(nova_conf "$host")"; done
}

doctor() {  # HOST ARGUMENT...
    local host=$1 out=$COMPARE_DIR/doctor-$1
    shift
    if ! in_host "$host" "$CM_BIN/nova-cachemig-manage" "$@" > "$out" 2>&1; then
        cat "$out"
        die "the doctor finds a fault on $host"
    fi
}

front_answers() { in_host client curl -sf -m 2 "http://${CM_FRONT_IPS[0]}/health"; }

handed_over() {
    wait_until 60 handover_ended || die "the migration was not handed over: tools/cloud logs agent"
    manage handover show "$(guest_id)" > "$COMPARE_DIR/handover"
    say "handed over: $(manage handover list | sed -n 4p)"
    manage service remove "$COMPARE_GUEST"
}

handover_ended() {
    manage handover show "$(guest_id)" -f json | grep -q '"outcome": "completed"'
}
