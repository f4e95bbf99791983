# The gateway, its workers and Flower in one image; the command says which. Your own handlers: docs/deploying.md.
FROM python:3.13-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && python -m venv /opt/venv
COPY requirements/run.txt /build/requirements/
RUN /opt/venv/bin/pip install --require-hashes --requirement /build/requirements/run.txt
COPY pyproject.toml README.md LICENSE /build/
COPY gateway_service /build/gateway_service
# Some wheels come with the debug symbols of their libraries, a third of everything.
RUN /opt/venv/bin/pip install --no-deps /build \
    && /opt/venv/bin/pip uninstall --yes pip \
    && find /opt/venv -name '*.so' -exec strip --strip-debug {} +
# The base has 118 MB. The whole is to stay below 200: a pod on a new node pulls it while its sessions wait.
RUN [ -z "$(du --summarize --bytes --threshold=80000000 /opt/venv)" ] \
    || { echo "the environment is larger than 80 MB, and the image larger than 200 MB with it" >&2; exit 1; }

FROM python:3.13-slim-trixie
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /app gateway \
    && install --directory --owner gateway --group gateway /app/.gateway
COPY --from=build /opt/venv /opt/venv
COPY tasks /app/tasks
WORKDIR /app
USER 10001:10001
# Sessions, the spool and the notes of `once` handlers, where no shared store holds them. The rest may be read-only.
VOLUME /app/.gateway
# Whether this process serves, whatever broker and Discord do: a restart cures neither.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9420/livez', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gateway-service"]
CMD ["start"]
