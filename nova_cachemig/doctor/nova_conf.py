"""The lines of nova.conf that load the hook, the weighers and the filter."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict
from nova_cachemig.doctor.verdicts import nova_conf as verdicts


def checks(context: Context) -> Sequence[Check]:
    """Checks of nova.conf, as its files together result in it."""
    conf = context.nova_conf
    assert conf is not None, "a subject of nova.conf"
    placing, scheduling = conf.filter_scheduler, conf.cachemig_scheduler
    multipliers = {
        name: getattr(scheduling, name)
        for name in ("predicted_load_weight_multiplier", "predicted_overload_weight_multiplier")
    }
    found = [
        Check(
            "nova_conf.driver",
            lambda: [driver(conf)],
        ),
        Check(
            "nova_conf.monitors",
            lambda: [
                verdicts.monitors(conf.compute_monitors, report_load=conf.cachemig.report_load)
            ],
        ),
        Check(
            "nova_conf.weighers",
            lambda: [verdicts.weighers(placing.weight_classes, multipliers)],
        ),
        Check(
            "nova_conf.filters",
            lambda: [verdicts.filters(placing.enabled_filters, placing.available_filters)],
        ),
    ]
    agent = context.conf
    if agent is not None:
        found.append(Check("nova_conf.topics", lambda: _topics(conf, agent)))
    return found


def driver(conf: cfg.ConfigOpts) -> Verdict:
    """Return the verdict on the notification drivers."""
    ours = conf.oslo_messaging_notifications
    readers = {
        "instance_usage_audit": conf.instance_usage_audit,
        "[notifications] notify_on_state_change": conf.notifications.notify_on_state_change,
        "[oslo_messaging_notifications] topics": ours.topics,
    }
    return verdicts.driver(ours.driver, [name for name, value in readers.items() if value])


def _topics(nova: cfg.ConfigOpts, agent: cfg.ConfigOpts) -> list[Verdict]:
    hook, scheduler = nova.cachemig, nova.cachemig_scheduler
    return verdicts.topics(
        {
            "[cachemig] topic and [agent] topic": (hook.topic, agent.agent.topic),
            "[cachemig] samples_topic and [telemetry] topic": (
                hook.samples_topic,
                agent.telemetry.topic,
            ),
            "[cachemig_scheduler] topic and [forecaster] scheduler_topic": (
                scheduler.topic,
                agent.forecaster.scheduler_topic,
            ),
            "[cachemig_scheduler] forecaster_topic and [forecaster] topic": (
                scheduler.forecaster_topic,
                agent.forecaster.topic,
            ),
        }
    )
