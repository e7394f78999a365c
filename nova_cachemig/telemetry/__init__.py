"""Where samples of load come from: Nova's notifications, Prometheus."""
