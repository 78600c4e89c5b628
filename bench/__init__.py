"""What the proxy costs, beside what Kamailio costs as the same gateway: see README.rst."""
