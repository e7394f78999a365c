# shellcheck shell=bash disable=SC2034
# One cell, one vhost, classic queues, no TLS, libvirt without passwords. The other profiles change
# some of these settings.

# RabbitMQ. A vhost is the end of a transport URL.
BUS_USER=os
# The vhost of the API, the scheduler and the conductor.
BUS_VHOST=
# The vhosts of the cells, which then have a conductor each.
BUS_CELL_VHOSTS=()
# yes: TLS only, with a certificate of the cloud's CA.
BUS_TLS=
# The end of every transport URL.
BUS_QUERY=
# Lines of [oslo_messaging_rabbit], of the agent too.
BUS_TLS_OPTIONS=()
# Lines of [oslo_messaging_rabbit], of OpenStack's services only.
BUS_OPTIONS=()
# JSON objects, without their vhost.
BUS_POLICIES=()

# Nova.
# The hosts from the third one on are in the second cell, if there is one.
COMPUTES=2
# Lines of [oslo_messaging_notifications].
NOTIFICATIONS=()
# Their transport_url: that of the "service" itself, or that of the "api".
NOTIFICATION_BUS=
# More sections of every nova.conf.
NOVA_OPTIONS=

# Hypervisors.
LIBVIRT_PORT=16509
LIBVIRTD_OPTIONS=('listen_tcp = 1' 'listen_tls = 0' 'auth_tcp = "none"')
# A SASL mechanism; unset: libvirt requires no password.
LIBVIRT_SASL=
# yes: libvirt and QEMU have certificates of the cloud's CA.
LIBVIRT_PKI=
QEMU_OPTIONS=()
# [libvirt] connection_uri; %s is the host's address.
LIBVIRT_URI=
LIBVIRT_OPTIONS=('live_migration_scheme = tcp')

# The cache node.
# A separate vhost and account for nova-cachemig; unset: Nova's.
EDGE_VHOST=
# "password", or "application": an application credential with access rules.
EDGE_CREDENTIAL=password
