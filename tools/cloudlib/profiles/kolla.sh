# shellcheck shell=bash disable=SC2034
# Kolla-Ansible with enable_cells, rabbitmq_enable_tls and without libvirt_tls. Sources: nova.conf.j2
# of its roles nova and nova-cell, libvirtd.conf.j2, definitions.json.j2 of the role rabbitmq.

BUS_USER=openstack
BUS_VHOST=/
BUS_CELL_VHOSTS=(nova_cell1)
BUS_TLS=yes
BUS_TLS_OPTIONS=('ssl = true' "ssl_ca_file = $CM_CA")
BUS_OPTIONS=('use_queue_manager = true' 'heartbeat_in_pthread = false' 'rabbit_quorum_queue = true'
    'rabbit_transient_quorum_queue = true' 'rabbit_stream_fanout = true'
    'rabbit_qos_prefetch_count = 50')
BUS_POLICIES=('{"name": "stream-retention-policy", "apply-to": "queues", "pattern": ".+",
    "priority": 1, "definition": {"stream-max-segment-size-bytes": 500000000, "max-age": "1800s"}}')

NOTIFICATIONS=('driver = noop')
NOTIFICATION_BUS=service
NOVA_OPTIONS='
[upgrade_levels]
compute = auto
[workarounds]
disable_group_policy_check_upcall = true
skip_cpu_compare_on_dest = true
[filter_scheduler]
track_instance_changes = false'

LIBVIRTD_OPTIONS=('listen_tcp = 1' 'listen_tls = 0' 'auth_tcp = "sasl"' 'ca_file = ""'
    'max_workers = 50' 'max_client_requests = 20')
LIBVIRT_SASL=DIGEST-MD5
LIBVIRT_URI=qemu+tcp://%s/system
LIBVIRT_OPTIONS=('num_pcie_ports = 16')

EDGE_VHOST=nova-cachemig
EDGE_CREDENTIAL=application
