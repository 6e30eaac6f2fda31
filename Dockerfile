# Images for docker-compose.yml: `member` (PostgreSQL and Regnal, the default) and `etcd`.
#
#   docker build --tag regnal .
#   docker build --tag regnal-etcd --target etcd .
#
# Everything comes from Debian 12 and from Python packages: PostgreSQL 15, Python 3.11, etcd 3.4.

FROM debian:12.11-slim AS base
ENV DEBIAN_FRONTEND=noninteractive

FROM base AS etcd
RUN apt-get update \
    && apt-get install -y --no-install-recommends etcd-server etcd-client \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o etcd -g etcd -m 700 /var/lib/etcd
USER etcd
VOLUME /var/lib/etcd
EXPOSE 2379 2380
HEALTHCHECK --interval=5s --timeout=3s --retries=5 \
    CMD ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints=http://127.0.0.1:2379", "endpoint", "health"]
ENTRYPOINT ["etcd"]

FROM base AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN python3 -m venv /opt/regnal \
    && /opt/regnal/bin/pip install --no-cache-dir --disable-pip-version-check '/src[etcd3,raft,nats,otel]'

FROM base AS member
# No cluster is made at installation: the first daemon makes it, with the settings of its configuration.
RUN install -d /etc/postgresql-common \
    && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && apt-get install -y --no-install-recommends python3 postgresql-15 \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o postgres -g postgres -m 700 /var/lib/regnal
COPY --from=build /opt/regnal /opt/regnal
COPY deploy/docker/regnal.yml /etc/regnal/regnal.yml
ENV PATH=/opt/regnal/bin:/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin \
    PATRONICTL_CONFIG_FILE=/etc/regnal/regnal.yml
USER postgres
WORKDIR /var/lib/regnal
VOLUME /var/lib/regnal
EXPOSE 5432 8008
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8008/liveness', timeout=2)"]
ENTRYPOINT ["regnal"]
CMD ["run", "/etc/regnal/regnal.yml"]
