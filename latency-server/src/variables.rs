//! Everything that can be set, in words: what it is for, what is allowed, what holds without it.

/// Something that can be set: by an environment variable of this name, by a flag, or by a key in the file.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Which values it may have.
    pub allowed: &'static str,
    /// What holds if it is not set, or empty.
    pub default: &'static str,
}

/// Everything that can be set; `docs/server.md` and `.env.example` list the same.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "LATENCY_CONFIG",
        purpose: "a file with more of these settings",
        allowed: "path of a TOML file",
        default: "none",
    },
    Variable {
        name: "LATENCY_MODEL",
        purpose: "the model to serve",
        allowed: "path of an .onnx file written by `latency train`, or models:/NAME@ALIAS or models:/NAME/VERSION of an \
                  MLflow registry",
        default: "the bundled model",
    },
    Variable {
        name: "LATENCY_MODELS",
        purpose: "more models, which requests ask by `?model=name`",
        allowed: "name=path or name=models:/…, separated by commas; names of letters, digits, `-`, `_` and `.`",
        default: "none",
    },
    Variable {
        name: "LATENCY_SHADOW",
        purpose: "a model that is asked what the one of LATENCY_MODEL is asked, for comparison alone",
        allowed: "as LATENCY_MODEL; or @ALIAS for another alias of the same registered model",
        default: "none",
    },
    Variable {
        name: "MLFLOW_TRACKING_URI",
        purpose: "the MLflow server whose registry `models:/…` means",
        allowed: "an http:// or https:// address; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
                  MLFLOW_TRACKING_TOKEN, if it wants them",
        default: "none",
    },
    Variable {
        name: "MLFLOW_TRACKING_USERNAME",
        purpose: "the name for that server",
        allowed: "any text, with MLFLOW_TRACKING_PASSWORD",
        default: "none",
    },
    Variable {
        name: "MLFLOW_TRACKING_PASSWORD",
        purpose: "the password for that server",
        allowed: "any text, with MLFLOW_TRACKING_USERNAME",
        default: "none",
    },
    Variable {
        name: "MLFLOW_TRACKING_TOKEN",
        purpose: "a bearer token for that server",
        allowed: "any text",
        default: "none",
    },
    Variable {
        name: "LATENCY_REGISTRY_POLL",
        purpose: "how often the registry is asked for another version, in seconds",
        allowed: "1 to 86400, or off",
        default: "30",
    },
    Variable {
        name: "LATENCY_CACHE",
        purpose: "where files from the registry are kept, so that the server starts when MLflow is down",
        allowed: "path of a folder",
        default: "latency-predictor in XDG_CACHE_HOME, or in ~/.cache",
    },
    Variable {
        name: "LATENCY_ADDRESS",
        purpose: "the address to listen on",
        allowed: "an IPv4 or IPv6 address; 0.0.0.0 for all interfaces",
        default: "127.0.0.1",
    },
    Variable {
        name: "LATENCY_PORT",
        purpose: "the port to listen on",
        allowed: "0 to 65535; 0 for any free port",
        default: "5000",
    },
    Variable {
        name: "LATENCY_LOG_LEVEL",
        purpose: "how much is logged, on standard error",
        allowed: "off, error, warn, info, debug",
        default: "warn",
    },
    Variable {
        name: "LATENCY_LOG_FORMAT",
        purpose: "what a line of the log looks like",
        allowed: "text, json",
        default: "text",
    },
    Variable {
        name: "LATENCY_MAX_BODY_BYTES",
        purpose: "the largest request body, in bytes",
        allowed: "1024 to 1073741824",
        default: "67108864",
    },
    Variable {
        name: "LATENCY_SESSIONS",
        purpose: "how many predictions run at the same time",
        allowed: "1 to 1024",
        default: "one per processor core",
    },
    Variable {
        name: "LATENCY_OBSERVATIONS",
        purpose: "where measured RTTs are stored that callers report",
        allowed: "path of an SQLite file, which is made if it is not there; or postgres://user@host/database, the password \
                  in it, in PGPASSWORD or in the file of PGPASSFILE",
        default: "none: nothing is stored",
    },
    Variable {
        name: "LATENCY_OBSERVATIONS_DAYS",
        purpose: "how long they are kept, in days",
        allowed: "1 to 3650",
        default: "90",
    },
    Variable {
        name: "LATENCY_TOKENS_FILE",
        purpose: "who may change models, and predict where that needs a token",
        allowed: "path of a file with lines that `latency-server token NAME` prints; read again when it changes",
        default: "none: nobody may change anything over HTTP",
    },
    Variable {
        name: "LATENCY_REQUIRE_TOKEN",
        purpose: "what else needs a token",
        allowed: "off; predict: all but whether the server is well",
        default: "off",
    },
    Variable {
        name: "LATENCY_CORS_ORIGINS",
        purpose: "pages of other origins that may call from a browser",
        allowed: "origins such as https://app.example, separated by commas",
        default: "none",
    },
    Variable {
        name: "LATENCY_TRUSTED_PROXIES",
        purpose: "proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
        allowed: "addresses or networks such as 10.0.0.0/8, separated by commas",
        default: "none",
    },
    Variable {
        name: "LATENCY_RATE_LIMIT",
        purpose: "requests per second that one client may send",
        allowed: "1 to 1000000, or off",
        default: "off",
    },
    Variable {
        name: "LATENCY_RATE_BURST",
        purpose: "requests that it may send at once, when it was silent before",
        allowed: "1 to 1000000",
        default: "as many as in a second",
    },
    Variable {
        name: "LATENCY_MAX_CONCURRENCY",
        purpose: "requests that are worked on at the same time; 32 times as many wait, a quarter of a second at most",
        allowed: "1 to 100000",
        default: "16 per processor core",
    },
    Variable {
        name: "LATENCY_BODY_TIMEOUT",
        purpose: "how long a body may keep the server waiting, in seconds",
        allowed: "1 to 3600",
        default: "30",
    },
    Variable {
        name: "LATENCY_TLS_CERT",
        purpose: "the certificate, for HTTPS",
        allowed: "path of a PEM file, with the chain; LATENCY_TLS_KEY belongs to it",
        default: "none: plain HTTP",
    },
    Variable { name: "LATENCY_TLS_KEY", purpose: "its private key", allowed: "path of a PEM file", default: "none" },
    Variable {
        name: "LATENCY_TLS_CLIENT_CA",
        purpose: "whose certificates clients must show (mutual TLS)",
        allowed: "path of a PEM file with the authorities' certificates",
        default: "none: clients show no certificate",
    },
    Variable {
        name: "LATENCY_DRAIN_SECONDS",
        purpose: "how long it goes on answering, not ready, once it is told to stop",
        allowed: "0 to 300",
        default: "5",
    },
    Variable {
        name: "LATENCY_GRACE_SECONDS",
        purpose: "how long requests may then take to finish",
        allowed: "1 to 300",
        default: "10",
    },
    Variable {
        name: "SECRET_KEY",
        purpose: "the secret that protects sessions",
        allowed: "at least 32 random bytes in base64, as `openssl rand -base64 32` prints them",
        default: "none: required in release builds, made up at each start in debug builds",
    },
    Variable {
        name: "ROCKET_SECRET_KEY",
        purpose: "the same, where SECRET_KEY is not set",
        allowed: "as SECRET_KEY",
        default: "none",
    },
    Variable {
        name: "LATENCY_ENGINE",
        purpose: "what evaluates the trees of a model",
        allowed: "onnxruntime, native",
        default: "onnxruntime",
    },
    Variable {
        name: "LATENCY_ORT_DYLIB_PATH",
        purpose: "the ONNX Runtime library to load",
        allowed: "absolute path of the library's file",
        default: "ORT_DYLIB_PATH, else the library beside the program",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        purpose: "the OpenTelemetry collector that gets traces, over OTLP/HTTP",
        allowed: "an http:// or https:// address, to which /v1/traces is added",
        default: "none: no traces",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        purpose: "the same, for traces alone",
        allowed: "an http:// or https:// address, taken as it is",
        default: "that of OTEL_EXPORTER_OTLP_ENDPOINT",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        purpose: "how it is spoken to",
        allowed: "http/protobuf",
        default: "http/protobuf",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        purpose: "headers that it wants, such as a token",
        allowed: "name=value, separated by commas; values may be percent-encoded",
        default: "none",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_COMPRESSION",
        purpose: "how what it gets is compressed",
        allowed: "none, gzip",
        default: "none",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        purpose: "how long it may take for one batch of spans, in milliseconds",
        allowed: "1 to 600000",
        default: "10000",
    },
    Variable {
        name: "OTEL_SERVICE_NAME",
        purpose: "the name of this service in traces",
        allowed: "any text",
        default: "service.name of OTEL_RESOURCE_ATTRIBUTES, else latency-server",
    },
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        purpose: "what else traces say about this server",
        allowed: "name=value, separated by commas; values may be percent-encoded",
        default: "none",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER",
        purpose: "which requests are traced",
        allowed: "parentbased_always_on, parentbased_always_off, parentbased_traceidratio, always_on, always_off, \
                  traceidratio",
        default: "parentbased_always_on",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER_ARG",
        purpose: "which share of traces, for the samplers with traceidratio",
        allowed: "0 to 1",
        default: "1",
    },
    Variable {
        name: "OTEL_BSP_SCHEDULE_DELAY",
        purpose: "how long spans wait for more before they are sent, in milliseconds",
        allowed: "1 to 600000",
        default: "5000",
    },
    Variable {
        name: "OTEL_BSP_MAX_QUEUE_SIZE",
        purpose: "how many spans wait; more are dropped",
        allowed: "1 to 1000000",
        default: "2048",
    },
    Variable {
        name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        purpose: "how many spans are sent at a time",
        allowed: "1 to OTEL_BSP_MAX_QUEUE_SIZE",
        default: "512, or OTEL_BSP_MAX_QUEUE_SIZE if that is less",
    },
    Variable {
        name: "OTEL_BSP_EXPORT_TIMEOUT",
        purpose: "as OTEL_EXPORTER_OTLP_TIMEOUT; the shorter one counts",
        allowed: "1 to 600000",
        default: "30000",
    },
    Variable {
        name: "OTEL_SDK_DISABLED",
        purpose: "no traces, whatever else is set",
        allowed: "true, false",
        default: "false",
    },
];

/// What is allowed for the variable of this name.
pub(crate) fn allowed(name: &str) -> &'static str {
    VARIABLES.iter().find(|variable| variable.name == name).map_or("", |variable| variable.allowed)
}
