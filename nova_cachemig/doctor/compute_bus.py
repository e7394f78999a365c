"""The message bus of nova-compute: does the agent listen where the hook sends?"""

from __future__ import annotations

from collections.abc import Sequence

from nova_cachemig.doctor.bus import Bus
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check


def checks(context: Context) -> Sequence[Check]:
    """Checks of [cachemig] transport_url in nova.conf or, without it, of Nova's own bus."""
    conf = context.nova_conf
    assert conf is not None, "a subject of nova.conf"
    options, topic = conf.cachemig, conf.cachemig.topic
    named = "[cachemig] transport_url" if options.transport_url else "[DEFAULT] transport_url"
    bus = Bus(conf, options.transport_url, option=f"{named} of nova.conf", calls=True)
    return [
        *bus.checks("compute_bus", (topic, options.samples_topic)),
        Check("compute_bus.agent", lambda: [bus.agent(topic)], ("compute_bus.connection",)),
    ]
