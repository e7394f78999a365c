# shellcheck shell=bash
# RabbitMQ on the control host, and the options of its clients.

RABBITMQ_DIR=$CM_STATE/control/rabbitmq
RABBITMQ_ENV=(HOME="$RABBITMQ_DIR" LANG=C.UTF-8
    RABBITMQ_NODENAME=rabbit@localhost RUNNING_UNDER_SYSTEMD=true
    RABBITMQ_MNESIA_BASE="$RABBITMQ_DIR" RABBITMQ_LOG_BASE="$RABBITMQ_DIR"
    RABBITMQ_CONFIG_FILE="$RABBITMQ_DIR/rabbitmq.conf"
    RABBITMQ_ENABLED_PLUGINS_FILE="$RABBITMQ_DIR/enabled_plugins"
    RABBITMQ_DIST_PORT=25672 ERL_EPMD_ADDRESS=127.0.0.1)

start_rabbitmq() {
    mkdir -p "$RABBITMQ_DIR"
    rabbitmq_conf > "$RABBITMQ_DIR/rabbitmq.conf"
    (umask 077 && rabbitmq_definitions > "$RABBITMQ_DIR/definitions.json")
    # One scheduler, without busy waiting.
    daemon_start control rabbitmq env "${RABBITMQ_ENV[@]}" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none' \
        /usr/lib/rabbitmq/bin/rabbitmq-server
    wait_daemon control.rabbitmq 90 port_open control "$CM_CONTROL_IP" "$(bus_port)"
}

bus_port() { if [[ -n $BUS_TLS ]]; then echo 5671; else echo 5672; fi; }

rabbitmq_conf() {
    if [[ -n $BUS_TLS ]]; then
        cat << CONF
listeners.tcp = none
listeners.ssl.1 = $CM_CONTROL_IP:5671
ssl_options.cacertfile = $CM_CA
ssl_options.certfile = $CM_PKI/control.pem
ssl_options.keyfile = $CM_PKI/control.key
CONF
    else
        echo "listeners.tcp.1 = $CM_CONTROL_IP:5672"
    fi
    cat << CONF
load_definitions = $RABBITMQ_DIR/definitions.json
loopback_users = none
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
log.file.level = warning
CONF
}

# The vhosts of OpenStack's services; the names, not the ends of the URLs.
bus_vhosts() {
    printf '%s\n' / "$BUS_VHOST" ${BUS_CELL_VHOSTS[@]+"${BUS_CELL_VHOSTS[@]}"} | awk 'NF && !seen[$0]++'
}

cell_vhost() { echo "${BUS_CELL_VHOSTS[$1 - 1]:-$BUS_VHOST}"; }  # CELL

json_list() { paste -sd,; }

rabbitmq_definitions() {
    local vhost policy rights='"configure": ".*", "write": ".*", "read": ".*"'
    cat << JSON
{"users": [{"name": "$BUS_USER", "password": "$(secret)", "tags": "administrator"}],
 "vhosts": [$(bus_vhosts | sed 's/.*/{"name": "&"}/' | json_list)],
 "permissions": [$(for vhost in $(bus_vhosts); do
        echo "{\"user\": \"$BUS_USER\", \"vhost\": \"$vhost\", $rights}"
    done | json_list)],
 "policies": [$(for policy in ${BUS_POLICIES[@]+"${BUS_POLICIES[@]}"}; do
        tr '\n' ' ' <<< "${policy/\{/\{\"vhost\": \"/\", }"
    done | json_list)]}
JSON
}

rabbitmqctl() {  # COMMAND...
    in_host control env "${RABBITMQ_ENV[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl -q "$@"
}

rabbit_url() {  # [VHOST]
    echo "rabbit://$BUS_USER:$(secret)@$CM_CONTROL_IP:$(bus_port)/${1:-}$BUS_QUERY"
}

section() {  # NAME LINE...
    local name=$1
    shift
    (($# == 0)) || printf '%s\n' "[$name]" "$@"
}

# The options of OpenStack's services for the bus.
bus_section() {
    section oslo_messaging_rabbit ${BUS_TLS_OPTIONS[@]+"${BUS_TLS_OPTIONS[@]}"} \
        ${BUS_OPTIONS[@]+"${BUS_OPTIONS[@]}"}
}

notification_section() {  # VHOST
    local lines=(${NOTIFICATIONS[@]+"${NOTIFICATIONS[@]}"})
    case $NOTIFICATION_BUS in
        service) lines+=("transport_url = $(rabbit_url "$1")") ;;
        api) lines+=("transport_url = $(rabbit_url "$BUS_VHOST")") ;;
    esac
    section oslo_messaging_notifications ${lines[@]+"${lines[@]}"}
}
