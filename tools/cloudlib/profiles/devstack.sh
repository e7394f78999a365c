# shellcheck shell=bash disable=SC2034
# DevStack with CELLSV2_SETUP=superconductor, its default, and NOVA_NUM_CELLS=2. Sources: lib/nova,
# lib/rpc_backend.
# DevStack migrates over qemu+ssh; these hosts have no SSH server, so libvirt stays on TCP.

BUS_USER=stackrabbit
BUS_CELL_VHOSTS=(nova_cell1 nova_cell2)
COMPUTES=3

NOTIFICATIONS=('driver = messagingv2')
NOTIFICATION_BUS=api
NOVA_OPTIONS='
[upgrade_levels]
compute = auto
[notifications]
notification_format = unversioned
[workarounds]
disable_group_policy_check_upcall = true
[filter_scheduler]
track_instance_changes = false'

EDGE_VHOST=nova-cachemig
EDGE_CREDENTIAL=application
