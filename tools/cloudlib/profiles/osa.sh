# shellcheck shell=bash disable=SC2034
# OpenStack-Ansible with Ceilometer, which sets the notification driver. Sources: nova.conf.j2,
# libvirtd.conf.j2, qemu.conf.j2 of its role os_nova, group_vars/all/oslo-messaging.yml and infra.yml.
# The role would use the queue manager; the group variables switch it off.

BUS_USER=nova
BUS_VHOST=nova
BUS_TLS=yes
BUS_QUERY="?ssl=1&ssl_version=TLSv1_2&ssl_ca_file=$CM_CA"
BUS_OPTIONS=('rabbit_quorum_queue = true' 'rabbit_transient_quorum_queue = true'
    'rabbit_qos_prefetch_count = 10' 'use_queue_manager = false' 'rabbit_stream_fanout = true'
    'rabbit_quorum_delivery_limit = 0' 'rabbit_quorum_max_memory_bytes = 0')

NOTIFICATIONS=('driver = messagingv2' 'topics = notifications')
NOTIFICATION_BUS=service
NOVA_OPTIONS='
[upgrade_levels]
compute = auto
[notifications]
notify_on_state_change = vm_and_task_state
notification_format = unversioned'

LIBVIRT_PORT=16514
LIBVIRTD_OPTIONS=('listen_tcp = 0' 'listen_tls = 1' 'auth_tcp = "sasl"')
LIBVIRT_PKI=yes
QEMU_OPTIONS=('default_tls_x509_cert_dir = "/etc/pki/qemu"' 'default_tls_x509_verify = 1')
LIBVIRT_OPTIONS=('live_migration_scheme = tls' 'live_migration_with_native_tls = true')

EDGE_VHOST=nova-cachemig
EDGE_CREDENTIAL=application
