"""Turns the fast path off, as a user's own module may."""

from gateway_service.worker import app

app.conf.gateway_fast_path = False
