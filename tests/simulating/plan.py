"""The plan of one seed: workload, options, and how often each fault happens."""

from __future__ import annotations

import dataclasses
from random import Random

from nova_cachemig.replay.state import Limits

SERVICES = ("shop", "forum")


@dataclasses.dataclass(slots=True)
class Plan:
    """Times are in seconds; the faults are probabilities or intervals."""

    clients: int
    writes: int  # of each client
    honours_keys: dict[str, bool]
    limits: dict[str, Limits]
    accept: dict[str, bool]  # the service gives 202 to all
    closes: dict[str, float]  # how often the guest ends a connection behind a response
    silent: bool  # it does so without announcing it
    kept_idle: float  # for so long it was seen to keep an idle connection open
    pipelines: dict[str, bool]
    dies: float
    poison: float  # share of writes on which the guest always dies
    not_http: float
    drips: float
    hangs: float
    errors: float
    shared: float  # share of writes to pages that all clients use
    pages: int  # such pages
    slow: float  # share of writes that the guest takes long for
    cuts: float
    crashes: bool
    power: float  # share of crashes that are power cuts
    db_faults: float  # share of commits that fail
    db_down: float  # mean interval between outages
    log_faults: float
    slow_body: float
    disconnects: float
    deadline: float  # seconds of a replay after which it is abandoned
    operator: float  # share of quarantined writes that are sent again
    patience: float  # for uploads, at a release
    rest: float = 0.1  # most seconds between two migrations
    slow_time: float = 0.05  # least seconds for a write that the guest takes long for
    pause: float = 0.25  # most seconds, without those for the switchover
    pauses_again: float = 0.2  # how often a pause follows soon after the return
    down_at_return: float = 0.0  # how often the database is away when the guest returns
    lives: tuple[int, ...] = (2, 10, 40, 200)  # mean numbers of the agent's actions until a crash


def _some(rng: Random, share: float, value: float) -> float:
    return value if rng.random() < share else 0.0


def plan(seed: int) -> Plan:
    """Draw the plan of a seed. Most seeds have a few faults each, so that they meet."""
    rng = Random(f"plan {seed}")
    limits = {}
    for name in SERVICES:
        limits[name] = Limits(
            hold_timeout=rng.choice((0.05, 0.5, 3.0, 30.0)),
            keep_patience=1.0,
            drain_time=rng.choice((0.1, 0.5, 3.0)),
            drain_pause=0.1,
            drain_pause_max=0.5,
            send_window=rng.choice((1, 2, 4, 64)),
            pipeline=rng.choice((1, 4, 16)),
            parallel=rng.choice((1, 1, 1, 4)),
            slow=0.3,
            response_timeout=3.0,
            response_time=2.0,
            resend_pause=0.1,
            resend_pause_max=0.5,
            busy_time=rng.choice((0.3, 5.0)),
            in_memory=rng.choice((2, 6, 256)),
            page=rng.choice((2, 5, 32)),
            low=rng.choice((0, 2)),
            error_pause=0.05,
            watch=0.1,
            proof=0.001,
        )
    made = Plan(
        clients=rng.choice((4, 6, 8)),
        writes=rng.choice((14, 18, 22)),
        honours_keys={name: rng.random() < 0.4 for name in SERVICES},
        limits=limits,
        accept={name: rng.random() < 0.2 for name in SERVICES},
        closes={name: rng.choice((0.0, 0.0, 0.05, 1.0)) for name in SERVICES},
        silent=seed % 4 == 0,
        kept_idle=60.0 if seed % 4 else 0.0,
        pipelines={name: rng.random() < 0.8 for name in SERVICES},
        dies=_some(rng, 0.4, 0.03),
        poison=_some(rng, 0.3, 0.02),
        not_http=_some(rng, 0.3, 0.02),
        drips=_some(rng, 0.2, 0.01),
        hangs=_some(rng, 0.2, 0.01),
        errors=_some(rng, 0.4, 0.03),
        cuts=_some(rng, 0.4, rng.choice((0.02, 0.15))),
        crashes=rng.random() < 0.7,
        power=_some(rng, 0.6, 0.7),
        shared=rng.choice((0.3, 0.6, 0.9)),
        pages=rng.choice((1, 3)),
        slow=rng.choice((0.02, 0.06, 0.25)),
        db_faults=_some(rng, 0.4, 0.05),
        db_down=_some(rng, 0.25, 0.6),
        log_faults=_some(rng, 0.2, 0.02),
        slow_body=_some(rng, 0.6, rng.choice((0.1, 0.3))),
        disconnects=_some(rng, 0.4, 0.04),
        deadline=rng.choice((0.8, 5.0, 1e9, 1e9, 1e9)),
        operator=_some(rng, 0.3, 0.5),
        patience=rng.choice((0.0, 0.05, 0.5)),
    )
    if seed % 10 == 3:
        _late_writes(made)
    elif seed % 10 == 5:
        _second_crashes(made)
    elif seed % 10 == 7:
        _outages(made)
    elif seed % 10 == 9:
        _broken_pipelines(made)
    return made


def _late_writes(made: Plan) -> None:
    """Make uploads outlast the drain, and connections break, on one page."""
    made.slow_body, made.cuts, made.shared, made.pages = 0.4, 0.3, 0.95, 1
    made.crashes, made.deadline, made.power, made.rest = False, 1e9, 0.0, 1.5
    made.patience = 0.0
    for name in SERVICES:
        made.honours_keys[name], made.limits[name].drain_time = False, 3.0
        made.limits[name].resend_pause = 0.3


def _second_crashes(made: Plan) -> None:
    """Let the guest take long, so that it still processes a write when the agent dies again.

    Or when a pause has used up the time for which the agent waits after a crash.
    """
    made.crashes, made.power, made.slow, made.shared, made.pages = True, 0.0, 0.3, 0.95, 1
    made.cuts = made.db_down = made.dies = made.poison = 0.0
    made.lives, made.slow_time, made.pause, made.pauses_again = (3, 30), 0.5, 1.5, 0.8
    for name in SERVICES:
        made.honours_keys[name], made.closes[name] = False, 0.0
        made.limits[name].parallel = 1


def _broken_pipelines(made: Plan) -> None:
    """Cut connections on which a quick guest has several writes to one page."""
    made.cuts, made.shared, made.pages, made.clients = 0.15, 0.95, 1, 8
    made.crashes, made.slow, made.errors, made.deadline = False, 0.0, 0.0, 1e9
    made.silent, made.kept_idle = False, 60.0
    for name in SERVICES:
        made.honours_keys[name], made.closes[name], made.pipelines[name] = False, 0.0, True
        made.limits[name].parallel, made.limits[name].pipeline = 1, 16


def _outages(made: Plan) -> None:
    """Cut the power while the database is away, with small steps of the send limit.

    Many writes wait then, and an outage often begins when they are sent. Nothing else
    goes wrong: most agents live long enough to send some after [journal] resume_delay.
    """
    made.crashes, made.power, made.db_down, made.operator = True, 1.0, 1.0, 0.0
    made.down_at_return, made.lives, made.pause = 0.4, (300, 1000), 1.0
    made.clients, made.writes, made.deadline = 8, 80, 1e9
    made.slow_body = made.disconnects = made.slow = made.db_faults = made.log_faults = 0.0
    made.dies = made.poison = made.cuts = made.hangs = made.drips = made.not_http = 0.0
    for name in SERVICES:
        made.honours_keys[name], made.limits[name].send_window = False, 1
