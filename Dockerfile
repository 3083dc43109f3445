# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/locus
ENV PATH=/opt/locus/bin:$PATH
COPY requirements.lock pyproject.toml README.md LICENSE ./
# As the Makefile does it: what serving needs, nothing that the lock does not name with its hash.
RUN pip install --no-cache-dir --require-hashes --no-deps --no-compile --only-binary :all: --requirement requirements.lock
COPY gateway gateway
COPY router router
COPY config config
# A container listens on all addresses, so its portfolio asks for a gateway key: docker run -e LOCUS_KEY=...
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && pip check \
    && sed -i 's|# keys: |keys: |' config/portfolio.yaml
# Imports once what serving imports, so that its compiled form is in the image: the user of the container cannot write there.
# Nothing is installed after that.
RUN cd / \
    && LITELLM_LOCAL_MODEL_COST_MAP=True python -c 'import gateway.commands.serve, gateway.server.run, gateway.store.schema, aiosqlite, psycopg, litellm' \
    && pip uninstall --quiet --yes setuptools pip

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 locus
COPY --from=build /opt/locus /opt/locus
COPY --from=build /src/config /etc/locus
ENV PATH=/opt/locus/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/locus
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4000/health/live', timeout=2)"]
ENTRYPOINT ["locus", "serve", "--host", "0.0.0.0"]
CMD ["--config", "/etc/locus/portfolio.yaml"]
