"""What is predicted, how good it is, and which versions answer."""

from panels import (
    RATE,
    Json,
    above,
    bars,
    below,
    dashboard,
    heatmap,
    quantile,
    query,
    rate,
    series,
    stat,
    states,
    table,
    variable,
    yes_or_no,
)


def model() -> Json:
    here = 'job="latency",instance=~"$instance",model=~"$model"'
    servers = 'job="latency",instance=~"$instance"'
    error, absolute = "latency_observed_relative_error", "latency_observed_absolute_error_seconds"
    shadow = "latency_shadow_relative_difference"
    return dashboard(
        "model",
        "Latency: model",
        "What is predicted, how good it is, and which versions answer.",
        [
            variable("instance", "server", "latency_http_requests_in_flight"),
            variable("model", "model", "latency_model_info"),
        ],
        [
            (
                "Which model answers",
                [
                    table(
                        "Models that answer",
                        "`model` is the name in ?model=, `version` the beginning of the file's SHA-256.",
                        f"latency_model_info{{{here}}}",
                        ["instance", "model", "name", "version", "engine", "source"],
                    ),
                    series(
                        "Versions in the registry",
                        "The version that answers, and the one that the registry means. 0 is the bundled model.",
                        "none",
                        query(f"latency_registry_model_version{{{here}}}", "{{model}} {{which}} at {{instance}}"),
                        width=12,
                        decimals=0,
                    ),
                    states(
                        "Last reload",
                        "Whether the last attempt to load a model again went well.",
                        query(f"latency_model_last_reload_successful{{{here}}}", "{{model}} at {{instance}}"),
                        mappings=yes_or_no("well", "failed"),
                    ),
                    states(
                        "Unloaded",
                        "Whether somebody unloaded the model, so that it does not answer.",
                        query(f"latency_model_unloaded{{{here}}}", "{{model}} at {{instance}}"),
                        mappings=yes_or_no("unloaded", "answers", good=0),
                    ),
                    states(
                        "Registry",
                        "Whether MLflow said which version is meant when it was asked last.",
                        query(f"latency_registry_up{{{here}}}", "{{model}} at {{instance}}"),
                        mappings=yes_or_no("answers", "no answer"),
                    ),
                    series(
                        "Reloads",
                        "Attempts to load a model again, by how they ended.",
                        "none",
                        query(
                            f"sum by (model, result) (increase(latency_model_reloads_total{{{here}}}{RATE}))",
                            "{{model}} {{result}}",
                        ),
                        width=24,
                    ),
                ],
            ),
            (
                "Predictions",
                [
                    series(
                        "Predictions by question",
                        "Predictions per second, rows of batches counted one by one.",
                        "cps",
                        query(rate("latency_predictions_total", here, "model, question"), "{{model}} {{question}}"),
                        stacked=True,
                    ),
                    heatmap(
                        "Distribution of predicted RTTs",
                        "How many predictions had which median round-trip time.",
                        "s",
                        f"sum by (le) (increase(latency_predicted_p50_seconds_bucket{{{here}}}{RATE}))",
                    ),
                    series(
                        "Predicted RTTs",
                        "What half and 90 % of the predicted medians stay below.",
                        "s",
                        query(quantile(0.5, "latency_predicted_p50_seconds", here, "model"), "{{model}} p50"),
                        query(quantile(0.9, "latency_predicted_p50_seconds", here, "model"), "{{model}} p90"),
                    ),
                    series(
                        "Inputs out of range",
                        "Share of predictions that are extrapolations, by field.",
                        "percentunit",
                        query(
                            f"{rate('latency_out_of_range_inputs_total', here, 'model, field')} / on (model)"
                            f" group_left () clamp_min({rate('latency_predictions_total', here, 'model')}, 1e-9)",
                            "{{field}}",
                        ),
                        width=12,
                        thresholds=above(0.2),
                    ),
                    series(
                        "Rows of batches",
                        "How many rows half and 99 % of the batches have at most.",
                        "none",
                        query(quantile(0.5, "latency_batch_rows", here, "model"), "{{model}} p50"),
                        query(quantile(0.99, "latency_batch_rows", here, "model"), "{{model}} p99"),
                        width=12,
                    ),
                ],
            ),
            (
                "Observed (with LATENCY_OBSERVATIONS)",
                [
                    series(
                        "Observations by verdict",
                        "Measured RTTs stored per second.",
                        "cps",
                        query(rate("latency_observations_total", here, "model, verdict"), "{{model}} {{verdict}}"),
                        stacked=True,
                    ),
                    series(
                        "Relative error",
                        "How far half and 90 % of the measurements are at most from the predicted median, relative to"
                        " themselves, in a moving hour. A perfect model would still have the scatter of measurements.",
                        "percentunit",
                        *(
                            query(
                                quantile(share, error, here, "model", "[1h]"),
                                f"{{{{model}}}} {name}",
                            )
                            for share, name in ((0.5, "p50"), (0.9, "p90"))
                        ),
                        thresholds=above(0.3),
                    ),
                    series(
                        "Mean absolute error",
                        "Between measurements and the predicted median, in a moving hour.",
                        "s",
                        query(
                            f"sum by (model) (increase({absolute}_sum{{{here}}}[1h]))"
                            f" / sum by (model) (increase({absolute}_count{{{here}}}[1h]))",
                            "{{model}}",
                        ),
                    ),
                    series(
                        "Coverage",
                        "Share of measurements up to the predicted p90 and p99, and of medians of paths within the 90 %"
                        " interval, of the last 10,000 observations.",
                        "percentunit",
                        query(f"latency_observed_coverage{{{here}}}", "{{model}} {{of}} at {{instance}}"),
                        high=1,
                        thresholds=below(0.8),
                    ),
                    series(
                        "Pinball loss",
                        "Of the predicted quantiles, of the last 10,000 observations: the lower, the better.",
                        "s",
                        query(f"latency_observed_pinball_seconds{{{here}}}", "{{model}} {{quantile}} at {{instance}}"),
                    ),
                    stat(
                        "Observations in the window",
                        "Those of the version that answers from which coverage, pinball loss and drift come.",
                        "none",
                        query(f"latency_observed_window{{{here}}}", "{{model}} at {{instance}}"),
                        width=8,
                        thresholds=below(500),
                    ),
                    bars(
                        "Drift by field",
                        "Population stability index of what was observed: below 0.1 little has moved, above 0.25 much.",
                        "none",
                        query(f"max by (model, feature) (latency_feature_psi{{{here}}})", "{{feature}}", instant=True),
                        width=12,
                        thresholds=above(0.1, 0.25),
                        decimals=2,
                    ),
                    series(
                        "Drift over time",
                        "The same, the largest of all fields.",
                        "none",
                        query(f"max by (model) (latency_feature_psi{{{here}}})", "{{model}}"),
                        width=12,
                        thresholds=above(0.1, 0.25),
                        decimals=2,
                    ),
                ],
            ),
            (
                "Shadow (with LATENCY_SHADOW)",
                [
                    series(
                        "Rows",
                        "Rows per second that the shadow was asked too: compared, failed or left out.",
                        "cps",
                        query(
                            rate("latency_shadow_rows_total", servers, "result"),
                            "{{result}}",
                        ),
                        width=12,
                        stacked=True,
                    ),
                    series(
                        "Difference",
                        "How far the shadow's median was at most from the one that was returned, relative to that, for"
                        " half and 90 % of the rows in a moving hour.",
                        "percentunit",
                        *(
                            query(
                                quantile(share, shadow, servers, window="[1h]"),
                                name,
                            )
                            for share, name in ((0.5, "p50"), (0.9, "p90"))
                        ),
                        width=12,
                    ),
                    states(
                        "Last reload",
                        "Whether the last attempt to load the shadow again went well.",
                        query(f"latency_shadow_last_reload_successful{{{servers}}}", "{{instance}}"),
                        mappings=yes_or_no("well", "failed"),
                        width=24,
                    ),
                ],
            ),
        ],
    )
