"""Programs that we did not write, run on loopback by tests: SIPp, Kamailio, baresip."""
