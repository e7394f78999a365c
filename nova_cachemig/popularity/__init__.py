"""From the access log to the pages that users are about to need. Pure."""
