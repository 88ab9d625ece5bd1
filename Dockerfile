# The service with the committed champions: docker build -t anomaly-service . && docker run --rm -p 127.0.0.1:8000:8000 anomaly-service
# Champions that need more packages (a neural network): --build-arg REQUIREMENTS=requirements.txt
FROM python:3.11.13-slim-bookworm AS packages
ARG REQUIREMENTS=deploy/requirements-serving.txt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY ${REQUIREMENTS} /build/requirements.txt
RUN /opt/venv/bin/pip install -r /build/requirements.txt
COPY pyproject.toml README.md LICENSE /build/
COPY utils /build/utils
RUN /opt/venv/bin/pip install --no-deps /build

FROM python:3.11.13-slim-bookworm
# LightGBM is linked to the OpenMP library of the system.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin service
COPY --from=packages /opt/venv /opt/venv
COPY mlflow.db /srv/lab/mlflow.db
COPY mlartifacts /srv/lab/mlartifacts
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ANOMALY_ROOT=/srv/lab \
    ANOMALY_OFFLINE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    POLARS_MAX_THREADS=2
WORKDIR /srv/lab
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "utils.serving", "--host", "0.0.0.0", "--port", "8000"]
