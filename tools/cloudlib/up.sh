# shellcheck shell=bash
# Start the cloud, each part as early as possible.

cmd_up() {
    take_lock
    parse_up "$@"
    say "the cloud is in $CM_STATE, profile $(cm_setting profile plain)"
    install_first
    job venv install_venv
    [[ -z $(apt_missing iproute2 procps) ]] || die "apt left packages out"
    make_pki
    ensure_network
    job kernel fetch_kernel
    wait_for_apt
    job rabbitmq start_rabbitmq
    start_mariadb
    say "MariaDB runs; the hypervisors are next"
    local host
    for host in $(cm_computes); do job "hypervisor-$host" start_hypervisor "$host"; done
    wait_for_venv
    configure_all
    raise_control
    raise_computes
    raise_edge
    write_cloud_json
    say "up: $(cm_computes | wc -l) computes, storage $(cm_setting storage shared)"
}

parse_up() {
    local want='' profile=''
    while (($#)); do
        case $1 in
            --as)
                profile=${2:-}
                cm_profiles | grep -qx -- "$profile" || die "--as: one of $(cm_profiles | paste -sd' ')"
                shift
                ;;
            --shared) want=shared ;;
            --no-shared) want=local ;;
            --computes)
                [[ ${2:-} =~ ^[1-9]$ ]] || die "--computes takes a number from 1 to 9"
                daemon_gone "compute$(($2 + 1)).host" \
                    || die "a running cloud does not get smaller: tools/cloud down first"
                cm_save_setting computes "$2"
                shift
                ;;
            *) refuse "up: unknown option $1" ;;
        esac
        shift
    done
    choose_profile "${profile:-$(default_profile)}"
    [[ -z $want ]] || switch_storage "$want"
}

# A running cloud keeps its profile.
default_profile() {
    if daemon_gone control.host; then echo plain; else cm_setting profile plain; fi
}

# Another profile is another cloud: only what was downloaded stays.
choose_profile() {  # NAME
    local now
    now=$(cm_setting profile plain)
    [[ $now != "$1" ]] || return 0
    daemon_gone control.host || die "this cloud runs as $now: tools/cloud down first"
    rm -rf "$CM_STATE"/{control,cache,compute[1-9],shared,instances,log,secret,openrc}
    find "$CM_STATE/done" -type f ! -name pip ! -name project ! -name kernel ! -name guest -delete \
        2> /dev/null || true
    cm_save_setting profile "$1"
    cm_load_profile
}

# The directory of instances changes, so no guest may remain in the old one.
switch_storage() {  # shared|local
    [[ $(cm_setting storage shared) != "$1" ]] || return 0
    if [[ -f $CM_STATE/cloud.json ]] && daemon_pid control.nova-api > /dev/null; then
        say "storage becomes $1: deleting the guests"
        server_tool delete --all
    fi
    cm_save_setting storage "$1"
    local host
    for host in $(cm_computes); do
        daemon_pid "$host.host" > /dev/null || continue
        daemon_kill "$host.nova-compute"
        stop_storage "$host"
    done
}

take_lock() {
    mkdir -p "$CM_STATE"
    exec {CM_LOCK_FD}> "$CM_STATE/lock"
    flock -w 900 "$CM_LOCK_FD" || die "another tools/cloud holds $CM_STATE/lock"
}

job_is_running() { [[ " ${CM_JOBS[*]} " == *":$1 "* ]]; }

wait_for_apt() {
    job_is_running apt || return 0
    join_jobs apt
    say "apt is done"
}

wait_for_venv() {
    join_jobs venv
    job project install_project
    join_jobs project
    say "the virtual environment is ready"
}

start_hypervisor() {  # HOST
    ensure_bridge "$1"
    start_ports "$1"
    start_libvirtd "$1"
    start_storage "$1"
}

configure_all() {
    local host
    configure_keystone
    configure_placement
    configure_glance
    configure_neutron
    configure_nova_control
    for host in $(cm_computes); do configure_nova_compute "$host"; done
    write_openrc
}

raise_control() {
    local service
    for service in keystone placement glance neutron nova; do
        job "db-$service" "init_$service"
    done
    join_jobs db-keystone
    job keystone start_keystone
    join_jobs keystone
    job register register_services
    join_jobs db-placement db-glance rabbitmq
    job placement start_placement
    job glance start_glance
    join_jobs db-neutron
    job neutron start_neutron
    join_jobs db-nova
    say "the databases are ready"
    restart_changed control nova-api nova-scheduler nova-conductor \
        nova-cell1-conductor nova-cell2-conductor
    start_nova_conductor
    start_nova_cell1_conductor
    start_nova_cell2_conductor
    start_nova_scheduler
    job nova-api start_nova_api
}

restart_changed() {  # HOST SERVICE...
    local host=$1 mark=() service
    shift
    mark=("$CM_STATE/$host"/nova/*.conf.changed)
    [[ -e ${mark[0]} ]] || return 0
    for service in "$@"; do daemon_kill "$host.$service"; done
    rm -f "${mark[@]}"
}

raise_computes() {
    local host
    for host in $(cm_computes); do join_jobs "hypervisor-$host"; done
    join_jobs register placement
    if product_is_on; then make_accounts; fi
    for host in $(cm_computes); do
        restart_changed "$host" nova-compute
        start_nova_compute "$host"
    done
    say "nova-compute is starting"
    join_jobs kernel
    job guest-files build_guest
    join_jobs
    say "the APIs respond"
    job guest-images upload_guest
    discover_hosts
    each_compute wait_compute
    join_jobs
}

raise_edge() {
    product_is_on || return 0
    configure_agent
    if [[ -e $AGENT_DIR/nova-cachemig.conf.changed ]]; then
        daemon_stop cache.agent
        rm -f "$AGENT_DIR/nova-cachemig.conf.changed"
    fi
    start_agent
}

write_cloud_json() {
    "$CM_BIN/python" "$CM_LIB/describe.py" "$CM_STATE" "$CM_REPO" "$CM_NS" \
        "$(cm_setting storage shared)" "$(rabbit_url "$(cell_vhost 1)")" "$KEYSTONE_URL" \
        "$(for h in $(cm_hosts); do echo "$h=$(cm_ip "$h")"; done | paste -sd,)" \
        "$(IFS=,; echo "${CM_FRONT_IPS[*]}")" > "$CM_STATE/cloud.json.new"
    mv "$CM_STATE/cloud.json.new" "$CM_STATE/cloud.json"
}
