# docker build -t incumbent .
# docker run --rm -v incumbent:/var/lib/incumbent incumbent incumbent key create --scope admin
# docker run -p 8000:8000 -v incumbent:/var/lib/incumbent incumbent
FROM python:3.11-slim AS build
RUN python -m venv /opt/incumbent
ENV PATH=/opt/incumbent/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY automl automl
COPY registry registry
COPY service service
RUN pip install '.[postgresql]'

FROM python:3.11-slim
# LightGBM and XGBoost link the OpenMP runtime, which slim leaves out.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /home/incumbent incumbent \
    && install --directory --owner incumbent --group incumbent --mode 0700 /var/lib/incumbent
COPY --from=build /opt/incumbent /opt/incumbent
ENV PATH=/opt/incumbent/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    DO_NOT_TRACK=1 \
    INCUMBENT_HOME=/var/lib/incumbent \
    INCUMBENT_HOST=0.0.0.0 \
    INCUMBENT_PORT=8000
USER incumbent
WORKDIR /var/lib/incumbent
VOLUME ["/var/lib/incumbent"]
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['INCUMBENT_PORT']}/healthz\", timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["incumbent", "serve"]
