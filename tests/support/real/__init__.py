"""Real parts for the tests in tests/integration and tests/browser: started on free ports, watched, ended by their pid.

Nothing here is skipped where a part is missing: a test that cannot start rtpengine, kamailio, sipp, baresip or chromium
fails.
"""
