# The tracking server: runs and registry in PostgreSQL, artefacts in a volume, both reached through the server alone.
FROM python:3.11.13-slim-bookworm
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY deploy/requirements-tracking.txt /tmp/requirements.txt
RUN pip install -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt \
    && useradd --system --uid 10002 --no-create-home --shell /usr/sbin/nologin tracking \
    && install -d -o tracking -g tracking /artifacts
ENV HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 10002
VOLUME /artifacts
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "2", "--artifacts-destination", "/artifacts"]
