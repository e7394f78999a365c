"""Early announcement: the network learns at the pause where a migrating guest will continue."""
