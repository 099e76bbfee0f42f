# One image for CPU and GPU: the default build of torch runs on both. It is large for that reason;
# docs/operations.md says what takes the room. With TORCH_INDEX, an index of packages that has
# torch's builds for a CPU, the image is one for a CPU alone.

FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=
WORKDIR /src
# Bytecode is checked by its source's content: builders round times, and what looks stale would be
# compiled anew at each start.
ENV SOURCE_DATE_EPOCH=315532800
# The dependencies first and in a folder of their own, so that a change of the code neither fetches
# nor ships them again. The lock pins them; of it only what serving needs is installed.
COPY pyproject.toml requirements.lock ./
RUN python -m venv /venv \
    && python -c "import tomllib; \
    project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print('setuptools', *project['dependencies'], sep='\n')" > /tmp/dependencies.txt \
    && /venv/bin/pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -c requirements.lock -r /tmp/dependencies.txt
COPY README.md LICENSE ./
COPY cli cli
COPY engine engine
COPY model model
COPY service service
COPY checkpoints/default checkpoints/default
COPY checkpoints/changes checkpoints/changes
COPY checkpoints/explain checkpoints/explain
# Readable by the user below, whatever the modes here: a checkpoint's weights are written 0600.
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --target /app . \
    && cp -r checkpoints /app/ \
    && chmod -R a+rX /app

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin audiodiff \
    && apt-get update \
    && apt-get install -y --no-install-recommends libtcmalloc-minimal4 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /venv /venv
COPY --from=build /app /app
# With tcmalloc memory stays flat under load (docs/decisions.md).
ENV PATH=/app/bin:/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    LD_PRELOAD=libtcmalloc_minimal.so.4 \
    AUDIODIFF_HOST=0.0.0.0 \
    AUDIODIFF_PORT=8000
# By number, so that a cluster can see that it is not root.
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['AUDIODIFF_PORT']}/readyz\", timeout=4)"]
# In exec form, so that SIGTERM reaches the server, which drains and exits 0.
CMD ["audiodiff", "serve"]
