# The images: `app` (the server, and what `docker build .` makes), `mlflow` (the MLflow server) and `trainer` (the wheel
# with training). Without features of BuildKit, so that every builder takes it. docs/containers.md
#
# Bases by name and version; an argument takes a mirror, or the same with a digest.
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# --- ONNX Runtime: its library out of the pinned wheel, whose SHA-256 pip compares.
FROM ${PYTHON_IMAGE} AS onnxruntime
COPY .ci/onnxruntime.txt /
RUN pip install --quiet --disable-pip-version-check --root-user-action ignore --no-cache-dir --no-deps --require-hashes \
        --target /wheel -r /onnxruntime.txt \
 && mkdir /onnxruntime \
 && cp /wheel/onnxruntime/capi/libonnxruntime.so.* /onnxruntime/libonnxruntime.so \
 && cp /wheel/onnxruntime/LICENSE /wheel/onnxruntime/ThirdPartyNotices.txt /onnxruntime/

# --- Dependencies of the crates, in a layer that lasts until they change: the manifests, and sources without content.
FROM ${RUST_IMAGE} AS dependencies
WORKDIR /build
ENV CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0 RUSTFLAGS="--remap-path-prefix=/build=/latency-predictor --remap-path-prefix=/usr/local/cargo=/cargo"
COPY Cargo.toml Cargo.lock ./
COPY latency-core/Cargo.toml latency-core/
COPY latency-node/Cargo.toml latency-node/
COPY latency-py/Cargo.toml latency-py/
COPY latency-server/Cargo.toml latency-server/
RUN for crate in core node py server; do \
        mkdir latency-$crate/src && touch latency-$crate/src/lib.rs; \
        awk -F '"' '/^\[/ { kind = "" } /^\[\[bench/ { kind = "benches" } /^\[\[example/ { kind = "examples" } \
                    /^\[\[test/ { kind = "tests" } kind != "" && /^name/ { print kind "/" $2 ".rs" }' latency-$crate/Cargo.toml \
        | while read -r file; do mkdir -p "latency-$crate/${file%/*}" && touch "latency-$crate/$file"; done; \
    done \
 && echo 'fn main() {}' > latency-server/src/main.rs \
 && cargo build --release --locked -p latency-server

# --- The server.
FROM dependencies AS server
COPY models models
COPY latency-core latency-core
COPY latency-server latency-server
# Cargo compares times, and the files without content are younger than those of a checkout.
RUN find latency-core latency-server -name '*.rs' -exec touch {} + \
 && cargo build --release --locked -p latency-server

# --- What the server needs of Debian, file by file: the libraries that it and ONNX Runtime are linked to, and the
# authorities of certificates. The packages that they come from are listed where scanners look for them.
FROM ${DEBIAN_IMAGE} AS root
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates libstdc++6 >/dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY --from=onnxruntime /onnxruntime /image/opt/latency
COPY --from=server /build/target/release/latency-server /image/opt/latency/
WORKDIR /image
RUN mkdir -p data etc/ssl/certs tmp var/lib/dpkg/status.d && chown 10001:10001 data && chmod 1777 tmp \
 && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
 && echo 'latency:x:10001:10001::/data:/nonexistent' > etc/passwd && echo 'latency:x:10001:' > etc/group \
 && echo 'hosts: files dns' > etc/nsswitch.conf && cp /etc/os-release etc/ \
 && ldd opt/latency/latency-server opt/latency/libonnxruntime.so | grep -o '/[^ ]*\.so[^ ]*' | sort -u > /libraries \
 && while read -r library; do cp --parents -L "$library" .; done < /libraries \
 && (while read -r library; do dpkg -S "$(readlink -f "$library")" || dpkg -S "$library"; done < /libraries | cut -d: -f1; \
     echo ca-certificates) | sort -u > /packages \
 && while read -r package; do \
        dpkg -s "$package" > "var/lib/dpkg/status.d/$package" && cp --parents "/usr/share/doc/$package/copyright" . || exit 1; \
    done < /packages \
 && chroot . /opt/latency/latency-server --version

# --- The image of the server: no shell, no package manager, no Python.
FROM scratch AS app
COPY --from=root /image /
ENV PATH=/opt/latency \
    HOME=/data \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    LATENCY_ADDRESS=0.0.0.0 \
    LATENCY_PORT=5000 \
    LATENCY_CACHE=/data/cache
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
# It drains and finishes what it has begun: `docker stop -t 20`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["latency-server", "health"]
ENTRYPOINT ["/opt/latency/latency-server"]
ARG BUILD_COMMIT=""
ARG BUILD_DATE=""
ARG BUILD_VERSION=""
# For `latency_build_info`.
ENV BUILD_COMMIT=$BUILD_COMMIT
LABEL org.opencontainers.image.title="Latency Predictor" \
      org.opencontainers.image.description="Predicts network latency (RTT) over HTTP, from a model in one ONNX file" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$BUILD_VERSION" \
      org.opencontainers.image.revision="$BUILD_COMMIT" \
      org.opencontainers.image.created="$BUILD_DATE"

# --- Python for MLflow's server and for training, one environment: client and server are of the same version.
FROM ${PYTHON_IMAGE} AS mlflow
COPY .ci/containers.txt /
RUN pip install --quiet --disable-pip-version-check --root-user-action ignore --no-cache-dir --require-hashes -r /containers.txt \
 && mkdir -p /mlflow /work && chown 10001:10001 /mlflow /work \
 && echo 'latency:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd && echo 'latency:x:10001:' >> /etc/group
ENV PYTHONUNBUFFERED=1 HOME=/tmp GIT_PYTHON_REFRESH=quiet MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 10001:10001
WORKDIR /mlflow
EXPOSE 5001
STOPSIGNAL SIGTERM
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5001"]

# --- The wheel.
FROM dependencies AS wheel
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip python3-venv >/dev/null \
 && rm -rf /var/lib/apt/lists/* && python3 -m venv /venv
COPY .ci/wheel.txt ./
RUN /venv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir "$(grep ^maturin wheel.txt)"
# As maturin will ask for them.
RUN cargo build --release --locked -p latency-py --features pyo3/extension-module
COPY models models
COPY LICENSE ./
COPY data data
COPY latency-core latency-core
COPY latency-py latency-py
RUN find latency-core latency-py -name '*.rs' -exec touch {} + \
 && cd latency-py && /venv/bin/maturin build --release --locked --out /wheels

# --- Training: `docker-compose run trainer latency mlflow retrain`.
FROM mlflow AS trainer
USER root
COPY --from=wheel /wheels /wheels
RUN pip install --quiet --disable-pip-version-check --root-user-action ignore --no-cache-dir --no-deps /wheels/*.whl
USER 10001:10001
WORKDIR /work
CMD ["latency", "--help"]

FROM app
