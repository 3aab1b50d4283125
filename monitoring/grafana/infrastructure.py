"""What it runs on: processes, scrapes, Prometheus, Alertmanager, MLflow."""

from panels import RATE, Json, above, dashboard, quantile, query, series, stat, states, variable, yes_or_no


def infrastructure() -> Json:
    firing = 'ALERTS{alertstate="firing"}'
    none = 'label_replace(vector(0), "alertname", "none", "", "")'
    return dashboard(
        "infrastructure",
        "Latency: infrastructure",
        "Processes, scrapes, Prometheus, Alertmanager and MLflow.",
        [variable("job", "job", "up")],
        [
            (
                "Health",
                [
                    stat(
                        "Alerts that fire",
                        "Critical and other alerts, silenced ones too.",
                        "none",
                        query(f"count({firing}) or vector(0)"),
                        thresholds=above(1),
                    ),
                    series(
                        "Which",
                        "Alerts that fire, by name. docs/monitoring.md says what to do.",
                        "none",
                        query(f"count by (alertname, severity) ({firing}) or {none}", "{{alertname}} {{severity}}"),
                        stacked=True,
                        decimals=0,
                    ),
                    states(
                        "Targets",
                        "Whether Prometheus reaches them.",
                        query('up{job=~"$job"}', "{{job}} {{instance}}"),
                        mappings=yes_or_no("up", "down"),
                        width=12,
                    ),
                ],
            ),
            (
                "Processes",
                [
                    series(
                        "Processor",
                        "Cores in use.",
                        "none",
                        query(f'rate(process_cpu_seconds_total{{job=~"$job"}}{RATE})', "{{job}} {{instance}}"),
                    ),
                    series(
                        "Memory",
                        "Resident memory.",
                        "bytes",
                        query('process_resident_memory_bytes{job=~"$job"}', "{{job}} {{instance}}"),
                    ),
                    series(
                        "Open files",
                        "Share of the file descriptors that a process may have.",
                        "percentunit",
                        query('process_open_fds{job=~"$job"} / process_max_fds{job=~"$job"}', "{{job}} {{instance}}"),
                        thresholds=above(0.8),
                    ),
                    series(
                        "Threads",
                        "Threads of the operating system.",
                        "none",
                        query('process_threads{job=~"$job"} or go_threads{job=~"$job"}', "{{job}} {{instance}}"),
                        width=12,
                    ),
                    series(
                        "Running since",
                        "Time since the process started: a fall to 0 is a restart.",
                        "s",
                        query('time() - process_start_time_seconds{job=~"$job"}', "{{job}} {{instance}}"),
                        width=12,
                    ),
                ],
            ),
            (
                "Scrapes",
                [
                    series(
                        "Duration",
                        "How long a scrape takes. After 10 s it is given up.",
                        "s",
                        query('scrape_duration_seconds{job=~"$job"}', "{{job}} {{instance}}"),
                        width=12,
                        thresholds=above(5, 10),
                    ),
                    series(
                        "Samples",
                        "Samples in a scrape: the number of series of a target.",
                        "none",
                        query('scrape_samples_scraped{job=~"$job"}', "{{job}} {{instance}}"),
                        width=12,
                    ),
                ],
            ),
            (
                "Prometheus",
                [
                    series(
                        "Series",
                        "Series in memory.",
                        "none",
                        query("prometheus_tsdb_head_series", "{{instance}}"),
                    ),
                    series(
                        "Samples stored",
                        "Samples appended per second.",
                        "cps",
                        query(f"rate(prometheus_tsdb_head_samples_appended_total{RATE})", "{{instance}}"),
                    ),
                    series(
                        "Disk",
                        "Bytes of its blocks; the last two hours are in none yet.",
                        "bytes",
                        query("prometheus_tsdb_storage_blocks_bytes", "{{instance}}"),
                    ),
                    series(
                        "Rules: duration",
                        "How long the last evaluation of each group took. They are due every 15 s.",
                        "s",
                        query("prometheus_rule_group_last_duration_seconds", "{{rule_group}}"),
                        width=12,
                        thresholds=above(5, 15),
                    ),
                    series(
                        "Rules: failures",
                        "Evaluations that failed, per second.",
                        "cps",
                        query(
                            f"sum by (rule_group) (rate(prometheus_rule_evaluation_failures_total{RATE}))",
                            "{{rule_group}}",
                        ),
                        width=12,
                    ),
                ],
            ),
            (
                "Alertmanager",
                [
                    series(
                        "Alerts",
                        "Alerts that it holds; suppressed ones are silenced or inhibited.",
                        "none",
                        query("sum by (state) (alertmanager_alerts)", "{{state}}"),
                        width=12,
                        stacked=True,
                    ),
                    series(
                        "Notifications",
                        "Notifications per second, the failed ones beside them, of the ways that are most used.",
                        "cps",
                        query(
                            f"topk(3, sum by (integration) (rate(alertmanager_notifications_total{RATE})))",
                            "{{integration}}",
                        ),
                        query(
                            f"topk(3, sum by (integration) (rate(alertmanager_notifications_failed_total{RATE})))",
                            "{{integration}} failed",
                        ),
                        width=12,
                    ),
                ],
            ),
            (
                "MLflow",
                [
                    series(
                        "Requests by status",
                        "Requests per second; /health and /version are not counted. Until there is a champion, servers"
                        " get 404 when they ask for it.",
                        "reqps",
                        query(f"sum by (status) (rate(mlflow_http_request_total{RATE}))", "{{status}}"),
                        width=12,
                        stacked=True,
                    ),
                    series(
                        "Durations",
                        "What half and 99 % of requests stay below.",
                        "s",
                        query(quantile(0.5, "mlflow_http_request_duration_seconds", 'job="mlflow"'), "p50"),
                        query(quantile(0.99, "mlflow_http_request_duration_seconds", 'job="mlflow"'), "p99"),
                        width=12,
                    ),
                ],
            ),
        ],
    )
