"""Pieces of dashboards: what all panels have in common stands here once."""

from __future__ import annotations

from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
WIDTH = 24
RATE = "[$__rate_interval]"

Json = dict[str, Any]


def rate(metric: str, labels: str, by: str, window: str = RATE) -> str:
    """The rate of a counter per second, summed up by labels."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}{window}))"


def quantile(share: float, metric: str, labels: str, by: str = "", window: str = RATE) -> str:
    """A quantile of a histogram."""
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(metric + '_bucket', labels, by, window)})"


def steps(*bounds: tuple[str, float | None]) -> Json:
    """Colours from values on; the first has none."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in bounds]}


GREEN = steps(("green", None))


def above(warning: float, critical: float | None = None) -> Json:
    """The more, the worse."""
    bounds = [("green", None), ("orange" if critical is not None else "red", warning)]
    return steps(*bounds, *([("red", critical)] if critical is not None else []))


def below(good: float) -> Json:
    """The less, the worse."""
    return steps(("red", None), ("green", good))


def query(expr: str, legend: str = "", *, instant: bool = False, kind: str = "time_series") -> Json:
    """A query; `legend` names its series, such as `{{route}}`."""
    found = {"datasource": PROMETHEUS, "editorMode": "code", "expr": expr, "format": kind, "legendFormat": legend}
    return found | ({"instant": True, "range": False} if instant else {"range": True})


def panel(
    kind: str, title: str, description: str, unit: str, targets: list[Json], *, width: int, height: int, **more: Any
) -> Json:
    """A panel of any kind. `more`: `thresholds`, `custom`, `options`, `low`, `high`, `mappings`, `decimals`."""
    defaults: Json = {"unit": unit, "thresholds": more.get("thresholds", GREEN), "mappings": more.get("mappings", [])}
    defaults |= {"color": more.get("color", {"mode": "palette-classic"}), "custom": more.get("custom", {})}
    for key, name in (("min", "low"), ("max", "high"), ("decimals", "decimals")):
        if name in more:
            defaults[key] = more[name]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": PROMETHEUS,
        "gridPos": {"w": width, "h": height, "x": 0, "y": 0},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": more.get("options", {}),
        "targets": [{**target, "refId": chr(ord("A") + index)} for index, target in enumerate(targets)],
        **({"transformations": more["transformations"]} if "transformations" in more else {}),
    }


def series(title: str, description: str, unit: str, *targets: Json, width: int = 8, **more: Any) -> Json:
    """Lines over time. With thresholds, their lines too."""
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    if "thresholds" in more:
        custom["thresholdsStyle"] = {"mode": "line"}
    if more.pop("stacked", False):
        custom["stacking"] = {"mode": "normal", "group": "A"}
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel(
        "timeseries",
        title,
        description,
        unit,
        list(targets),
        width=width,
        height=8,
        **{"low": 0, "custom": custom, "options": options, **more},
    )


REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(title: str, description: str, unit: str, *targets: Json, width: int = 4, **more: Any) -> Json:
    """A number."""
    options = {
        "reduceOptions": REDUCED,
        "orientation": "auto",
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    }
    more = {"color": {"mode": "thresholds"}, "options": options, **more}
    return panel("stat", title, description, unit, list(targets), width=width, height=8, **more)


def bars(title: str, description: str, unit: str, *targets: Json, width: int = 8, **more: Any) -> Json:
    """Bars beside each other, as they are now."""
    options = {
        "reduceOptions": REDUCED,
        "orientation": "horizontal",
        "displayMode": "basic",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        "maxVizHeight": 300,
        "minVizHeight": 10,
        "minVizWidth": 8,
        "namePlacement": "left",
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    more = {"low": 0, "color": {"mode": "thresholds"}, "options": options, **more}
    return panel("bargauge", title, description, unit, list(targets), width=width, height=8, **more)


def states(title: str, description: str, *targets: Json, mappings: list[Json], width: int = 8, **more: Any) -> Json:
    """States over time."""
    options = {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    more = {"mappings": mappings, "options": options, "color": {"mode": "thresholds"}, **more}
    custom = {"fillOpacity": 70, "lineWidth": 0}
    return panel(
        "state-timeline", title, description, "none", list(targets), width=width, height=8, custom=custom, **more
    )


def heatmap(title: str, description: str, unit: str, expr: str, width: int = 8) -> Json:
    """The buckets of a histogram over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "exponent": 0.5,
            "reverse": False,
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
    }
    target = query(expr, "{{le}}", kind="heatmap")
    return panel("heatmap", title, description, "none", [target], width=width, height=8, options=options)


def table(title: str, description: str, expr: str, columns: list[str], width: int = 12) -> Json:
    """The labels of series, as they are now."""
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True}
    names = {name: index for index, name in enumerate(columns)}
    keep = {"id": "filterFieldsByName", "options": {"include": {"names": columns}}}
    order = {"id": "organize", "options": {"indexByName": names, "excludeByName": {}, "renameByName": {}}}
    return panel(
        "table",
        title,
        description,
        "none",
        [query(expr, instant=True, kind="table")],
        width=width,
        height=8,
        options=options,
        transformations=[keep, order],
    )


def yes_or_no(yes: str, no: str, *, good: int = 1) -> list[Json]:
    """1 and 0 in words, the good one in green, the other in red."""
    colors = {good: "green", 1 - good: "red"}
    return [
        {
            "type": "value",
            "options": {
                "1": {"text": yes, "color": colors[1], "index": 0},
                "0": {"text": no, "color": colors[0], "index": 1},
            },
        }
    ]


def variable(name: str, label: str, metric: str, *, every: bool = True, current: str = "") -> Json:
    """A choice among the values of the label `name` of this metric."""
    chosen = {"text": "All", "value": "$__all"} if every else {"text": current, "value": current}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": PROMETHEUS,
        "query": {"query": f"label_values({metric}, {name})", "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "multi": every,
        "includeAll": every,
        "current": chosen,
        **({"allValue": ".*"} if every else {}),
    }


def dashboard(
    uid: str, title: str, description: str, variables: list[Json], rows: list[tuple[str, list[Json]]]
) -> Json:
    """Rows of panels, placed from left to right."""
    panels: list[Json] = []
    y = 0
    for name, row in rows:
        panels.append(
            {
                "type": "row",
                "title": name,
                "collapsed": False,
                "panels": [],
                "gridPos": {"w": WIDTH, "h": 1, "x": 0, "y": y},
            }
        )
        x, y, height = 0, y + 1, 0
        for one in row:
            place = one["gridPos"]
            if x + place["w"] > WIDTH:
                x, y, height = 0, y + height, 0
            place |= {"x": x, "y": y}
            x, height = x + place["w"], max(height, place["h"])
            panels.append(one)
        y += height
    for number, one in enumerate(panels, start=1):
        one["id"] = number
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["latency"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "links": [
            {
                "type": "dashboards",
                "title": "Latency Predictor",
                "tags": ["latency"],
                "asDropdown": False,
                "icon": "external link",
                "includeVars": False,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": panels,
    }
