ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
# requirements-otel.txt makes an image that can send traces.
ARG REQUIREMENTS=requirements.txt
WORKDIR /build
COPY requirements-build.txt requirements.txt requirements-otel.txt ./
RUN python -m venv /app \
 && /app/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-build.txt -r "${REQUIREMENTS}"
COPY pyproject.toml README.md ./
COPY proxy ./proxy
RUN /app/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /app/bin/python -m pip uninstall --yes pip setuptools

FROM python:${PYTHON}-slim
# Nothing is installed at run time, and nothing in the image may be written to: data lives in /data.
RUN groupadd --system --gid 10001 ringfence \
 && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin ringfence \
 && install -d -o 10001 -g 10001 -m 0700 /data \
 && install -d /etc/ringfence/policies
# The base image has the standard library as text only, and nothing is compiled at run time: each start, and
# each health check, would do so anew.
RUN python -m compileall -q "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /app /app
# Examples, for `ringfence demo` and to copy: each speaks for every project, and together they allow nothing.
# None is in force: without a policy of the operator's own the proxy does not start.
COPY policies /app/share/ringfence/policies
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RINGFENCE_DATA_DIR=/data \
    RINGFENCE_POLICIES__PATHS=/etc/ringfence/policies \
    RINGFENCE_ATTESTATIONS__FILE=/etc/ringfence/attestations.yaml \
    RINGFENCE_LISTEN__HOST=0.0.0.0
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('RINGFENCE_ADMIN__PORT', '9090'), timeout=2)"]
ENTRYPOINT ["ringfence"]
CMD ["serve"]
