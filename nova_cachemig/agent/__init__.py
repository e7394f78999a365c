"""The cache node: services, manager, warm, intake, replay, probe, engine, journal."""
