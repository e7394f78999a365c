# shellcheck shell=bash
# nova-cachemig in this cloud: its accounts, and how it is enabled and uninstalled.

EDGE_NAME=nova-cachemig  # of its accounts in RabbitMQ and Keystone
EDGE_CREDENTIAL_FILE=$CM_STATE/cache/credential
# The rights on the vhost: the names of all exchanges and queues of nova-cachemig begin with its own.
EDGE_RIGHTS=('^nova-cachemig.*$' '^(nova-cachemig.*|amq\.default)$' '^nova-cachemig.*$')

product_is_on() { [[ $(cm_setting product on) == on ]]; }

# The bus on which nova-compute and the agent meet: with several cells, a separate vhost.
edge_url() {
    if [[ -n $EDGE_VHOST ]]; then
        echo "rabbit://$EDGE_NAME:$(secret)@$CM_CONTROL_IP:$(bus_port)/$EDGE_VHOST$BUS_QUERY"
    else
        rabbit_url "$(cell_vhost 1)"
    fi
}

edge_vhost() {  # its name
    local end=${EDGE_VHOST:-$(cell_vhost 1)}
    echo "${end:-/}"
}

enable_on_compute() {  # NOVA_CONF
    nova_cachemig_configure_compute "$1"
    [[ -z $EDGE_VHOST ]] || iniset "$1" cachemig transport_url "$(edge_url)"
}

make_accounts() {
    if [[ -n $EDGE_VHOST ]] && ! is_done edge-vhost; then
        rabbitmqctl add_vhost "$EDGE_VHOST"
        secret | rabbitmqctl add_user "$EDGE_NAME" > /dev/null
        rabbitmqctl set_permissions -p "$EDGE_VHOST" "$EDGE_NAME" "${EDGE_RIGHTS[@]}"
        mark_done edge-vhost
    fi
    if [[ $EDGE_CREDENTIAL == application && ! -s $EDGE_CREDENTIAL_FILE ]]; then
        mkdir -p "$CM_STATE/cache"
        (umask 077 && credential_tool create > "$EDGE_CREDENTIAL_FILE.new")
        mv "$EDGE_CREDENTIAL_FILE.new" "$EDGE_CREDENTIAL_FILE"
    fi
}

credential_tool() {  # create|delete
    with_openrc control "$CM_BIN/python" "$CM_LIB/credential.py" "$1" "$EDGE_NAME" "$(secret)"
}

remove_accounts() {
    if [[ -n $EDGE_VHOST ]]; then
        rabbitmqctl delete_vhost "$EDGE_VHOST"
        rabbitmqctl delete_user "$EDGE_NAME"
        rm -f "$CM_STATE/done/edge-vhost"
    else
        remove_queues "$(edge_vhost)"
    fi
    if [[ $EDGE_CREDENTIAL == application ]]; then
        credential_tool delete
        rm -f "$EDGE_CREDENTIAL_FILE"
    fi
}

# They would expire after half an hour. An exchange goes with its last queue. A queue may go meanwhile,
# with its connection.
remove_queues() {  # VHOST
    local queue
    for queue in $(rabbitmqctl list_queues -p "$1" --no-table-headers name | grep '^nova-cachemig'); do
        rabbitmqctl delete_queue -p "$1" "$queue" || true
    done
}

cmd_enable() {
    product_is_on && return 0
    take_lock
    cm_save_setting product on
    install_project
    make_accounts
    configure_agent
    rm -f "$AGENT_DIR/nova-cachemig.conf.changed"
    start_agent
    reconfigure_computes
    say "nova-cachemig is enabled"
}

# As the guides say: first the line in nova.conf, then the cache node, then the accounts.
cmd_disable() {
    product_is_on || return 0
    take_lock
    cm_save_setting product off
    reconfigure_computes
    stop_edge
    remove_accounts
    rm -rf "$AGENT_DIR"
    say "nova-cachemig is uninstalled"
}

# The engines outlive the agent, so that a restart of it does not disturb users.
stop_edge() {
    daemon_stop cache.agent 30
    manage engine stop --yes
}
