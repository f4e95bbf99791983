"""Finding the handlers of an application, for programs that are no worker."""

from celery.app.utils import find_app

from gateway_service.errors import ConfigurationError
from gateway_service.worker.gateway import Gateway, gateways_of


def gateway_of(app_name: str) -> Gateway:
    """Import an application with all of its task modules and return its group of handlers.

    Args:
        app_name: As after ``celery -A``.

    Raises:
        ConfigurationError: There is no such application, it cannot be imported, or it has no handlers.
    """
    try:
        app = find_app(app_name)
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"--app: {app_name!r} is no Celery application that can be imported: {exc}") from exc
    app.loader.import_default_modules()
    app.finalize()
    gateways = gateways_of(app)
    if not gateways:
        raise ConfigurationError(f"--app: {app_name!r} has no handlers; make a Gateway of it")
    gateway = next((each for each in gateways if each.has_handlers), gateways[0])
    gateway.check()
    return gateway
