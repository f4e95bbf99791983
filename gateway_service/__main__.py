"""``python -m gateway_service``: the same as ``gateway-service``, where scripts are not on the PATH."""

from gateway_service.cli import main

if __name__ == "__main__":
    main()
