"""What callers get: requests, errors, durations, and how much room is left."""

from panels import RATE, Json, above, below, dashboard, heatmap, quantile, query, rate, series, stat, steps, variable


def service() -> Json:
    here = 'job="latency",instance=~"$instance"'
    one = f'{here},route=~"$route"'
    seconds = "latency_http_request_duration_seconds"

    def budget(objective: str) -> str:
        def counted(what: str) -> str:
            return f'sum(increase(latency:objective_{what}:sum{{objective="{objective}"}}[30d]))'

        missed = f"{counted('missed')} / clamp_min({counted('requests')}, 1e-9)"
        return f'1 - {missed} / scalar(1 - latency:objective:ratio{{objective="{objective}"}})'

    burn = [
        query(f"latency:budget_burn:rate{window}", f"{{{{objective}}}}, {words}")
        for window, words in (("5m", "5 min"), ("1h", "1 h"), ("6h", "6 h"), ("3d", "3 days"))
    ]
    return dashboard(
        "service",
        "Latency: service",
        "Requests, errors, durations and saturation of the servers.",
        [
            variable("instance", "server", "latency_http_requests_in_flight"),
            variable("route", "route", f"{seconds}_count", every=False, current="/predict"),
        ],
        [
            (
                "Objectives",
                [
                    stat(
                        "Availability: budget left",
                        "How much of what may go wrong in 30 days has not. At 0 the objective is missed.",
                        "percentunit",
                        query(budget("availability")),
                        thresholds=steps(("red", None), ("orange", 0.0), ("green", 0.25)),
                    ),
                    stat(
                        "Speed: budget left",
                        "How much of what may be slow in 30 days was not. At 0 the objective is missed.",
                        "percentunit",
                        query(budget("speed")),
                        thresholds=steps(("red", None), ("orange", 0.0), ("green", 0.25)),
                    ),
                    stat(
                        "Servers up",
                        "Servers that Prometheus reaches.",
                        "none",
                        query('sum(up{job="latency"})'),
                        thresholds=below(1),
                    ),
                    series(
                        "How fast budgets burn",
                        "1 uses a budget up in exactly 30 days. Above 14.4 in 5 minutes and in 1 hour it is critical.",
                        "none",
                        *burn,
                        width=12,
                        thresholds=above(1, 14.4),
                    ),
                ],
            ),
            (
                "Requests",
                [
                    series(
                        "Requests by route",
                        "Requests answered per second, of routes that are asked.",
                        "reqps",
                        query(f"{rate('latency_http_requests_total', here, 'route')} > 0", "{{route}}"),
                        stacked=True,
                    ),
                    series(
                        "Answers by status",
                        "Requests answered per second, by HTTP status.",
                        "reqps",
                        query(f"{rate('latency_http_requests_total', here, 'status')}", "{{status}}"),
                        stacked=True,
                    ),
                    series(
                        "Errors by code",
                        "The ten most frequent codes, in requests per second. docs/server.md says what they mean.",
                        "reqps",
                        query(f"topk(10, {rate('latency_errors_total', here, 'code')})", "{{code}}"),
                    ),
                    series(
                        "Durations of $route",
                        "From the head of a request to its finished answer: half, 90 % and 99 % stay below.",
                        "s",
                        *(
                            query(quantile(share, seconds, one), name)
                            for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
                        ),
                        thresholds=above(0.01),
                    ),
                    heatmap(
                        "Distribution of durations of $route",
                        "How many requests took how long.",
                        "s",
                        f"sum by (le) (increase({seconds}_bucket{{{one}}}{RATE}))",
                    ),
                    series(
                        "p99 by route",
                        "What 99 % of the requests of each route that is asked stay below.",
                        "s",
                        query(
                            f"{quantile(0.99, seconds, here, 'route')}"
                            f" and on (route) {rate(seconds + '_count', here, 'route')} > 0",
                            "{{route}}",
                        ),
                    ),
                ],
            ),
            (
                "Saturation",
                [
                    series(
                        "Requests in flight",
                        "Requests whose answers are not sent yet, and the number that is worked on at the same time.",
                        "none",
                        query(f"latency_http_requests_in_flight{{{here}}}", "{{instance}}"),
                        query(f"latency_concurrency_limit{{{here}}}", "limit of {{instance}}"),
                    ),
                    series(
                        "Requests turned away",
                        "Requests per second that broke a limit: too many at a time, too many by one client, bodies too"
                        " large or too slow.",
                        "reqps",
                        query(rate("latency_rejections_total", here, "reason"), "{{reason}}"),
                    ),
                    series(
                        "Errors of rows",
                        "The five most frequent codes of rows that could not be answered inside batches, per second.",
                        "cps",
                        query(f"topk(5, {rate('latency_row_errors_total', here, 'code')})", "{{code}}"),
                    ),
                    series(
                        "Processor",
                        "Cores in use, and how many predictions run at the same time, by default one per core.",
                        "none",
                        query(f"rate(process_cpu_seconds_total{{{here}}}{RATE})", "{{instance}}"),
                        query(f"max by (instance) (latency_sessions{{{here}}})", "sessions of {{instance}}"),
                    ),
                    series(
                        "Memory",
                        "Resident memory. docker-compose.yml stops a server at 1 GiB.",
                        "bytes",
                        query(f"process_resident_memory_bytes{{{here}}}", "{{instance}}"),
                        thresholds=above(768 * 2**20, 2**30),
                    ),
                    series(
                        "Open files",
                        "Share of the file descriptors that the process may have; connections are among them.",
                        "percentunit",
                        query(f"process_open_fds{{{here}}} / process_max_fds{{{here}}}", "{{instance}}"),
                        thresholds=above(0.8),
                    ),
                ],
            ),
        ],
    )
