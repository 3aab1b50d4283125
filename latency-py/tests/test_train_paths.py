"""The paths model, on a made-up table: from rows to a file that loads, and each step on typed values."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from conftest import row, typed
from latency_predictor import Predictor, TrainingError
from latency_predictor.data import split, synthetic
from latency_predictor.data import table as tidy
from latency_predictor.data.geo import great_circle_km
from latency_predictor.evaluation import baselines, metrics, reliability
from latency_predictor.evaluation.held_out import FIELDS
from latency_predictor.training import boosters, cables, calibration, last_mile, paths, schemas, spread
from latency_predictor.training.fit import columns

ONES = np.ones(4)


@pytest.fixture(scope="module")
def model(cross: paths.CrossFit, synthetic_table: pd.DataFrame) -> bytes:
    """The file of a fit on all rows."""
    fitted = paths.fit_paths(synthetic_table).with_offsets(cross.offsets())
    return fitted.with_provenance({"rows": len(synthetic_table)}).to_bytes()


# From rows to a file


def test_the_model_loads_and_answers_inside_its_own_bounds(model: bytes, synthetic_table: pd.DataFrame) -> None:
    predictor = Predictor(model)
    assert predictor.model_info["name"] == "latency"
    assert predictor.model_info["provenance"] == {"rows": len(synthetic_table)}
    answer = predictor.predict_batch(synthetic_table[FIELDS])
    assert (answer["floor_ms"] <= answer["low_ms"]).all()
    for lower, upper in (
        ("low_ms", "p50_ms"),
        ("p50_ms", "high_ms"),
        ("p50_ms", "p90_ms"),
        ("p90_ms", "p99_ms"),
    ):
        assert (answer[lower] <= answer[upper]).all()
    error = np.abs(answer["p50_ms"] - synthetic_table["rtt_ms"]) / synthetic_table["rtt_ms"]
    assert error.median() < 0.12


def test_the_file_holds_golden_rows_that_the_model_reproduces(model: bytes) -> None:
    predictor = Predictor(model)
    golden = predictor.schema["golden"]
    assert len(golden) == 16
    for entry in golden:
        prediction = predictor.predict(**entry["row"])
        for name, expected in entry["prediction"].items():
            assert getattr(prediction, name) == expected
    missing = [name for entry in golden for name in FIELDS if name not in entry["row"]]
    assert missing, "no golden row has a missing value: they show less than they could"


def test_the_same_table_gives_the_same_bytes(
    cross: paths.CrossFit, synthetic_table: pd.DataFrame, model: bytes
) -> None:
    again = paths.fit_paths(synthetic_table.copy()).with_offsets(cross.offsets())
    assert again.with_provenance({"rows": len(synthetic_table)}).to_bytes() == model


def test_a_model_answers_the_same_both_ways_round(model: bytes, synthetic_table: pd.DataFrame) -> None:
    rows = synthetic_table[FIELDS].head(300)
    other = {column: ("dst" if column[:3] == "src" else "src") + column[3:] for column in FIELDS}
    there, back = (Predictor(model).predict_batch(part) for part in (rows, rows.rename(columns=other)))
    pd.testing.assert_frame_equal(there, back)


def test_every_fold_is_blind_to_its_places(cross: paths.CrossFit) -> None:
    for held in cross.splits:
        train, test = cross.table[held.train], cross.table[~held.train]
        seen = set(split.places(train["src_lat"], train["src_lon"]))
        seen |= set(split.places(train["dst_lat"], train["dst_lon"]))
        src, dst = (split.places(test[f"{end}_lat"], test[f"{end}_lon"]) for end in ("src", "dst"))
        assert not (src.isin(seen) & dst.isin(seen)).any()


# How good it is


def test_offsets_matter_for_coverage(cross: paths.CrossFit) -> None:
    """Without them the interval would hold on seen places only."""
    actual = np.concatenate([np.log(cross.table.loc[~held.train, "rtt_ms"]) for held in cross.splits])
    margins = np.concatenate(cross.margins)

    distance_km = np.concatenate([paths.floor_distance_km(cross.table[~held.train]) for held in cross.splits])

    def coverage(offsets: list[calibration.Offset]) -> float:
        moved = np.column_stack([offset.at(distance_km) for offset in offsets])
        low, _, high = (margins + moved).T
        return metrics.coverage(actual, low, high)

    assert coverage([calibration.Offset()] * 3) < 0.85
    assert coverage(cross.offsets()) == pytest.approx(0.90, abs=0.02)


def test_a_table_of_few_places_cannot_hold_any_out() -> None:
    with pytest.raises(TrainingError, match=r"found 8 places; at least 20 .*; use a larger table"):
        paths.cross_fit(synthetic.make(places=8))


# Merging directions, masks, weights


def test_both_directions_become_one_row_with_the_geometric_mean() -> None:
    there = row(rtt_ms=8.0, weight=1.0, src_access="wifi", src_name="a", dst_name="b")
    back = row(
        src_lat=30.0, src_lon=40.0, dst_lat=10.0, dst_lon=20.0, rtt_ms=18.0, weight=0.5,
        dst_access="wifi", src_name="b", dst_name="a",
    )  # fmt: skip
    merged = paths.merge_directions(typed(there, back))
    assert len(merged) == 1
    only = merged.iloc[0]
    assert only["rtt_ms"] == pytest.approx(12.0, rel=1e-12)
    assert only["weight"] == 0.75
    assert (only["src_lat"], only["src_access"], only["src_name"]) == (10.0, "wifi", "a")
    assert (only["dst_lat"], only["dst_access"], only["dst_name"]) == (30.0, "server", "b")


def test_other_labels_and_other_sets_stay_apart() -> None:
    rows = typed(row(), row(src_access="wifi"), row(dataset="other"), row(src_tier="premium"), row(dst_lat=31.0))
    assert len(paths.merge_directions(rows)) == 5


def test_a_place_to_itself_merges_by_its_labels() -> None:
    same = {"dst_lat": 10.0, "dst_lon": 20.0}
    merged = paths.merge_directions(
        typed(row(**same, src_access="wifi", rtt_ms=2.0), row(**same, dst_access="wifi", rtt_ms=8.0))
    )
    assert merged["rtt_ms"].tolist() == pytest.approx([4.0])


def test_swapping_ends_changes_nothing(synthetic_table: pd.DataFrame) -> None:
    swap = {
        column: ("dst" if column[:3] == "src" else "src") + column[3:]
        for column in tidy.COLUMNS
        if column[:4] in ("src_", "dst_")
    }
    swapped = synthetic_table.rename(columns=swap)[list(synthetic_table.columns)]
    here, there = paths.merge_directions(synthetic_table), paths.merge_directions(swapped)
    pd.testing.assert_frame_equal(here, there, check_exact=False, rtol=1e-12)
    assert len(here) == len(synthetic_table) / 2


def test_masks_hide_labels_at_random_and_nothing_else(synthetic_table: pd.DataFrame) -> None:
    masked = paths.mask_labels(synthetic_table)
    others = [column for column in synthetic_table if column not in paths.LABELS]
    pd.testing.assert_frame_equal(masked[others], synthetic_table[others])
    hidden = synthetic_table["src_access"].notna() & masked["src_access"].isna()
    expected = paths.MASK_ALL_SHARE + (1 - paths.MASK_ALL_SHARE) * paths.MASK_SHARE
    assert hidden.mean() == pytest.approx(expected, abs=0.03)
    kept = masked["src_access"].notna()
    assert (masked["src_access"][kept] == synthetic_table["src_access"][kept]).all()
    pd.testing.assert_frame_equal(masked, paths.mask_labels(synthetic_table))
    assert synthetic_table["src_access"].notna().all(), "the table itself must stay as it was"


def test_a_small_set_weighs_the_root_of_its_size() -> None:
    rows = typed(*[row(dataset="large", dst_lon=float(lon)) for lon in range(90)], *[row(dataset="small")] * 10)
    weight = paths.row_weights(rows)
    assert weight.mean() == pytest.approx(1.0)
    assert weight[-1] / weight[0] == pytest.approx(3.0)


def test_moved_ends_stay_near_and_on_the_globe() -> None:
    rows = typed(*[row(src_lat=lat, src_lon=179.9, rtt_ms=5.0) for lat in np.linspace(-85, 85, 400)])
    moved = paths.move_ends(rows)
    km = great_circle_km(rows["src_lat"], rows["src_lon"], moved["src_lat"], moved["src_lon"])
    # The length of two independent normals of 50 km each has a median of 1.18 times that.
    assert np.median(km) == pytest.approx(1.18 * paths.MOVE_KM, rel=0.15)
    assert moved["src_lon"].between(-180, 180).all()
    assert (moved["src_lon"] < 0).any()
    assert (moved["src_lat"].abs() <= 90).all()
    untouched = [column for column in rows if column not in tidy.COORDINATES]
    pd.testing.assert_frame_equal(moved[untouched], rows[untouched])


# Last mile


def test_the_ms_of_each_access_kind_are_found() -> None:
    random = np.random.default_rng(1)
    kinds = random.choice(["server", "wifi", "cellular"], (400, 2))
    cable_ms = random.uniform(5, 200, 400)
    true = {"server": 0.0, "wifi": 8.0, "cellular": 30.0}
    rtt = cable_ms + [true[a] + true[b] for a, b in kinds] + last_mile.ADD_MS
    rows = typed(*[row(src_access=a, dst_access=b, rtt_ms=ms) for (a, b), ms in zip(kinds, rtt, strict=True)])
    found = last_mile.fit(rows, cable_ms, np.ones(400))
    assert {kind: found["ms"][kind] for kind in true} == pytest.approx(true, abs=0.05)


def test_an_access_kind_that_no_row_has_is_taken_for_a_missing_one() -> None:
    rows = typed(*[row(src_access=None, rtt_ms=26.0 + index % 3) for index in range(30)])
    found = last_mile.fit(rows, np.full(30, 10.0), np.ones(30))
    assert found["ms"]["starlink"] == found["missing_ms"] > 5


# Cables


def toy_map() -> cables.HubMap:
    """Four hubs on the equator in a row, and a fifth far north of the second."""
    lon, lat = np.array([0.0, 20.0, 40.0, 60.0, 20.0]), np.array([0.0, 0.0, 0.0, 0.0, 50.0])
    return cables.HubMap(list("abcde"), lat, lon, np.array([[0, 1], [1, 2], [2, 3], [1, 4]]))


def toy_paths(multiples: np.ndarray, constant_ms: float, rows: int = 600) -> pd.DataFrame:
    """Measurements that lie at the hubs and take each link's true RTT, plus a constant."""
    hubs = toy_map()
    ways, _ = cables.fastest_ways(hubs, hubs.link_km * cables.FLOOR_MS_PER_KM * multiples)
    random = np.random.default_rng(0)
    src = random.integers(0, 5, rows)
    dst = (src + random.integers(1, 5, rows)) % 5
    return pd.DataFrame(
        {
            "src_lat": hubs.lat[src], "src_lon": hubs.lon[src],
            "dst_lat": hubs.lat[dst], "dst_lon": hubs.lon[dst],
            "rtt_ms": ways[src, dst] + constant_ms,
            "src_access": "server", "dst_access": "server",
        }
    )  # fmt: skip


def test_the_fit_recovers_known_links() -> None:
    # All below what access costs: a slower link would be passed by, over land to the next hub.
    true = np.array([1.1, 1.4, 1.2, 1.3])
    hubs = toy_map()
    found = cables.fit(toy_paths(true, constant_ms=4.0), hubs)
    multiples = found.link_ms / (hubs.link_km * cables.FLOOR_MS_PER_KM)
    assert multiples == pytest.approx(true, abs=0.03)
    assert found.constant_ms == pytest.approx(4.0, abs=0.5)


def test_links_without_measurements_keep_their_prior() -> None:
    hubs = toy_map()
    rows = toy_paths(np.array([1.1, 1.4, 1.2, 1.3]), constant_ms=3.0)
    without_north = rows[(rows["src_lat"] == 0) & (rows["dst_lat"] == 0)]
    found = cables.fit(without_north, hubs)
    multiples = found.link_ms / (hubs.link_km * cables.FLOOR_MS_PER_KM)
    assert multiples[3] == pytest.approx(cables.PRIOR_LINK, abs=1e-6)


def test_homes_tell_of_the_cables_too() -> None:
    true = np.array([1.1, 1.4, 1.2, 1.3])
    hubs = toy_map()
    rows = toy_paths(true, constant_ms=4.0)
    rows["src_access"] = np.where(np.arange(len(rows)) % 2 == 0, "residential", "server")
    rows["rtt_ms"] += np.where(rows["src_access"] == "residential", 30.0, 0.0)
    found = cables.fit(rows, hubs)
    assert found.link_ms / (hubs.link_km * cables.FLOOR_MS_PER_KM) == pytest.approx(true, abs=0.03)
    assert found.constant_ms == pytest.approx(4.0, abs=0.5)


def test_rows_of_no_weight_do_not_count() -> None:
    hubs = toy_map()
    right, wrong = toy_paths(np.full(4, 1.2), 3.0, rows=200), toy_paths(np.full(4, 1.45), 3.0, rows=200)
    both = pd.concat([right, wrong], ignore_index=True)
    found = cables.fit(both, hubs, np.repeat([1.0, 0.0], 200))
    assert found.link_ms == pytest.approx(cables.fit(right, hubs).link_ms, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_solution_in_a_box_is_the_least(seed: int) -> None:
    random = np.random.default_rng(seed)
    root = random.normal(size=(30, 12))
    matrix, right = root.T @ root + 0.1 * np.eye(12), random.normal(size=12) * 5
    low, high = np.full(12, -0.2), np.full(12, 0.3)
    x = cables.solve_in_box(matrix, right, low, high, np.zeros(12))
    gradient = matrix @ x - right
    assert ((x >= low) & (x <= high)).all()
    # Nothing pulls a free unknown, and what is held is pulled outwards (Karush–Kuhn–Tucker).
    free = (x > low) & (x < high)
    assert np.abs(gradient[free]).max(initial=0) < 1e-9
    assert (gradient[x == low] >= 0).all()
    assert (gradient[x == high] <= 0).all()


def test_no_link_is_faster_than_light_in_fibre() -> None:
    hubs = toy_map()
    found = cables.fit(toy_paths(np.full(4, 0.5), constant_ms=0.0), hubs)
    assert (found.link_ms >= hubs.link_km * cables.FLOOR_MS_PER_KM * (1 - 1e-9)).all()


def test_the_fastest_way_takes_the_shorter_of_two() -> None:
    hubs = cables.HubMap(list("abc"), np.zeros(3), np.arange(3.0), np.array([[0, 1], [1, 2], [0, 2]]))
    ways, before = cables.fastest_ways(hubs, np.array([1.0, 2.0, 9.0]))
    assert ways.tolist() == [[0, 1, 3], [1, 0, 2], [3, 2, 0]]
    assert before[0, 2] == 1
    split_map = cables.HubMap(list("abc"), np.zeros(3), np.arange(3.0), np.array([[0, 1]]))
    assert cables.fastest_ways(split_map, np.array([1.0]))[0][0, 2] == np.inf


def test_the_fit_goes_the_same_ways_as_the_core() -> None:
    """What training fits is what predictions are made of: over hubs, and straight between neighbours."""
    hubs = cables.load_hub_map()
    random = np.random.default_rng(4)
    lat, lon = random.uniform(-50, 65, 300), random.uniform(-180, 180, 300)
    near = random.normal(0, 3, (2, 300)) * (np.arange(300) % 2)
    rows = typed(
        *[
            row(src_lat=a, src_lon=b, dst_lat=a + north, dst_lon=float(np.clip(b + east, -180, 180)), rtt_ms=10.0)
            for a, b, north, east in zip(lat, lon, *near, strict=True)
        ]
    )
    multiples = random.uniform(1.1, 3.0, len(hubs.links))
    unknowns = np.concatenate([multiples, [1.7, 2.5], np.zeros(len(cables.HOMES))])
    fit = cables._Fit(rows, hubs, np.ones(len(rows)))
    ways_ms, _ = cables.fastest_ways(hubs, fit.floor_ms * multiples)
    expected = fit._enter(unknowns, ways_ms)[0]
    fitted = cables.Cables(hubs, fit.floor_ms * multiples, 1.7 * cables.FLOOR_MS_PER_KM, 2.5)
    found = columns(schemas.paths_schema(fitted), [{"kind": "cable_ms"}], rows)[:, 0]
    # The schema rounds each link to a microsecond.
    assert found == pytest.approx(expected, abs=0.03)


def test_the_map_on_disk_is_one_piece() -> None:
    hubs = cables.load_hub_map()
    ways, _ = cables.fastest_ways(hubs, hubs.link_km)
    assert np.isfinite(ways).all()
    assert len(set(hubs.names)) == len(hubs.names)


# The spread of single measurements


def scattered(kind: str, count: int, seed: int = 1, **values: Any) -> list[dict[str, Any]]:
    """Rows with statistics of many pings, whose 90 % quantile lies 5 ms and 20 % of the median above the median."""
    random = np.random.default_rng(seed)
    rows = []
    for lon in range(-count // 2, count // 2):
        median = float(random.uniform(5, 200))
        scale = math.log1p(0.2 + 5 / median) / math.log(5)
        p95 = median * math.exp(scale * math.log(10))
        rows.append(row(src_access=kind, dst_lon=float(lon), rtt_ms=median, rtt_p95_ms=p95, n=1e9, **values))
    return rows


def kinds_of(fitted: dict[str, Any]) -> dict[str, Any]:
    return {kind["name"]: kind for kind in fitted["kinds"]}


def test_a_time_and_a_share_of_the_median_are_found_per_kind() -> None:
    fitted = spread.fit(typed(*scattered("wifi", 200), *scattered("server", 40, dst_provider="other")))
    assert fitted["ends"][1] == {"access": "dst_access", "provider": "dst_provider"}
    kinds = kinds_of(fitted)
    assert kinds["wifi"]["p90"]["ms"] == pytest.approx(5, rel=1e-3)
    assert kinds["wifi"]["p90"]["relative"] == pytest.approx(0.2, rel=1e-3)
    assert kinds["rented server"]["p90"]["ms"] == pytest.approx(5, rel=1e-2)
    assert (kinds["wifi"]["access"], "provider" in kinds["wifi"]) == (["wifi"], False)
    # What was never measured is like what is known and most alike, or like all.
    assert kinds["residential"]["p90"] == kinds["wifi"]["p90"]
    assert kinds["cloud server"]["p99"] == kinds["rented server"]["p99"]
    assert kinds["starlink"]["p90"] == fitted["unknown"]["p90"]
    assert fitted["unknown"]["p90"]["relative"] == pytest.approx(0.2, rel=2e-2)
    # Every way to be connected has a kind of any provider, which loading asks for.
    assert {kind["access"][0] for kind in fitted["kinds"] if "provider" not in kind} == set(tidy.ACCESS)


def test_a_p95_of_many_pings_tells_the_scale() -> None:
    rows = typed(row(rtt_p95_ms=8.0 * math.exp(0.2 * math.log(10)), n=1e9))
    assert spread.path_scales(rows).iloc[0] == pytest.approx(0.2, rel=1e-6)


@pytest.mark.parametrize("pings", [4, 9, 28])
def test_quantiles_of_few_pings_are_those_of_order_statistics(pings: int) -> None:
    draws = np.random.default_rng(0).exponential(size=(200_000, pings))
    gap = (np.quantile(draws, 0.95, axis=1) - np.quantile(draws, 0.5, axis=1)).mean()
    rows = typed(row(rtt_p95_ms=8.0 * math.exp(0.2 * gap), n=float(pings)))
    assert spread.path_scales(rows).iloc[0] == pytest.approx(0.2, rel=1e-2)


def test_the_largest_of_n_pings_tells_the_scale() -> None:
    pings, scale = 30.0, 0.2
    harmonic = sum(1 / k for k in range(1, 31))
    rows = typed(row(rtt_max_ms=8.0 * math.exp(scale * (harmonic - 1)), n=pings))
    assert spread.path_scales(rows).iloc[0] == pytest.approx(scale, rel=1e-9)


def test_a_scale_is_unknown_without_statistics_or_pings() -> None:
    rows = typed(row(), row(rtt_max_ms=9.0), row(rtt_max_ms=9.0, n=3.0), row(rtt_max_ms=9.0, n=4.0))
    assert spread.path_scales(rows).notna().tolist() == [False, False, False, True]


def test_the_kind_of_a_path_is_that_of_its_end_that_scatters_more() -> None:
    cloud = {"src_provider": "aws", "dst_provider": "gcp"}
    kinds = spread.path_kind(
        typed(
            row(),
            row(**cloud),
            row(**cloud | {"dst_provider": "other"}),
            row(src_access="wifi", dst_provider="aws"),
            row(dst_access="wifi"),
            row(src_access=None),
            row(dst_access=None, **cloud),
        )
    )
    expected = ["rented server", "cloud server", "rented server", "wifi", "wifi", "missing", "missing"]
    assert kinds.astype(object).fillna("missing").tolist() == expected


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_a_mixture_has_the_quantile_of_its_paths(level: float) -> None:
    scales = np.array([0.05] * 50 + [0.5] * 50)
    excess = spread.mixture_excess(np.full(100, 10.0), scales, level)
    draws = np.random.default_rng(0).exponential(size=1_000_000)
    mixed = 10 * np.exp(scales[np.arange(len(draws)) % 100] * (draws - math.log(2)))
    assert np.quantile(mixed, level) == pytest.approx(10 + excess["ms"] + 10 * excess["relative"], rel=0.02)


def test_a_mixture_of_one_kind_of_path_is_that_path() -> None:
    medians = np.array([10.0, 100.0])
    excess = spread.mixture_excess(medians, np.full(2, 0.2), 0.9)
    assert excess == {"ms": 0, "relative": pytest.approx(math.exp(0.2 * math.log(5)) - 1)}
    absolute = spread.mixture_excess(medians, np.log1p(3 / medians) / math.log(5), 0.9)
    assert absolute == {"ms": pytest.approx(3), "relative": 0}


def test_too_few_scattered_paths_are_an_error() -> None:
    with pytest.raises(TrainingError, match=r"only 10 rows say how measurements scatter .*at least 20"):
        spread.fit(typed(*scattered("server", 10)))


# Whether p90 and p99 hold


def test_the_expected_share_below_a_time_is_that_of_the_exponential() -> None:
    scale = 0.2
    p95 = 8.0 * math.exp(scale * math.log(10))
    rows = typed(*[row(rtt_p95_ms=p95, n=1e9)] * 4, row())
    times = [8.0, 8.0 * math.exp(scale * math.log(5)), 8.0 * math.exp(scale * math.log(50)), 1.0, 8.0]
    found = reliability.expected_below(rows, times)
    assert found[:4] == pytest.approx([0.5, 0.9, 0.99, 0.0])
    assert np.isnan(found[4])


def test_a_measured_p95_is_compared_as_it_is() -> None:
    rows = typed(row(rtt_p95_ms=9.0, n=10.0), row(rtt_p95_ms=9.0, n=10.0), row(rtt_p95_ms=9.0, n=3.0), row())
    found = reliability.p95_below(rows, [9.0, 8.9, 9.0, 9.0])
    assert found[:2].tolist() == [1, 0]
    assert np.isnan(found[2:]).all()


def test_reliability_is_a_mean_per_kind_over_rows_that_say_something() -> None:
    rows = pd.DataFrame(
        {
            "kind": ["wifi", "wifi", "wired", "wifi"],
            "below_p90": [0.8, 1.0, 0.9, np.nan],
            "below_p99": [0.9, 1.0, 1.0, np.nan],
            "p95_below_p99": [0.0, 1.0, np.nan, np.nan],
        }
    )
    found = reliability.reliability(rows)
    assert found["wifi"] == {
        "rows": 2, "below_p90": pytest.approx(0.9), "below_p99": 0.95, "p95_rows": 2, "p95_below_p99": 0.5,
    }  # fmt: skip
    assert (found["wired"]["p95_rows"], found["wired"]["p95_below_p99"]) == (0, None)


# What training saw


def test_seen_regions_are_near_places_and_hide_them() -> None:
    def cells(*places: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        regions = schemas.seen_regions(np.array(places))
        assert (regions["within_km"], len(regions["cells"])) == (1000.0, 648)
        return np.unpackbits(np.frombuffer(bytes.fromhex(regions["cells"]), np.uint8)).reshape(36, 72)

    paris = cells((48.86, 2.35))
    assert paris[27, 36] == 1
    assert 10 < paris.sum() < 20
    assert paris[:, :34].sum() == paris[:, 41:].sum() == 0
    # The same cells for a place some kilometres away, and both sides of the antimeridian.
    assert (paris == cells((49.1, 2.2))).all()
    fiji = cells((-17.0, 179.0))
    assert fiji[14, 71] == fiji[14, 0] == 1


def test_what_was_seen_at_one_end_was_seen_at_the_other(model: bytes) -> None:
    fields = {field["name"]: field.get("seen") for field in Predictor(model).schema["fields"]}
    for name, seen in fields.items():
        assert seen == fields[name.replace("src_", "dst_")]


def test_seen_pairs_are_unordered_and_known_at_both_ends() -> None:
    rows = typed(row(src_access="wifi"), row(dst_access="wifi"), row(src_access=None, dst_access="wired"), row())
    assert schemas.seen_pairs(rows, ("src_access", "dst_access")) == {
        "fields": ["src_access", "dst_access"],
        "pairs": [["server", "server"], ["server", "wifi"]],
    }


# Calibration


def test_offsets_carry_the_finite_sample_correction() -> None:
    outputs = tuple(
        boosters.Output(name, quantile, 1) for name, quantile in (("low_ms", 0.25), ("p50_ms", 0.5), ("high_ms", 0.75))
    )
    errors = np.arange(1.0, 10.0)
    # Of 9 errors: 0.75 · 10 / 9 · 9 = 7.5 → the 8th, from above and from below; uncorrected 6.75 → the 7th.
    assert calibration.offsets(outputs, np.zeros((9, 3)), errors, np.ones(9)) == [
        calibration.Offset(2.0),
        calibration.Offset(0.0),
        calibration.Offset(8.0),
    ]


def test_a_quantile_that_too_few_rows_can_tell_is_the_largest() -> None:
    outputs = (boosters.Output("p99_ms", 0.99, 1),)
    assert calibration.offsets(outputs, np.zeros((5, 1)), np.arange(5.0), np.ones(5)) == [calibration.Offset(4.0)]


def test_an_offset_is_what_is_added_to_the_prediction() -> None:
    outputs = (boosters.Output("high_ms", 0.9, 1),)
    actual = np.linspace(0, 1, 999)
    (offset,) = calibration.offsets(outputs, np.full((999, 1), 5.0), actual, np.ones(999))
    assert np.mean(actual <= 5.0 + offset.constant) == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize(
    ("level", "expected"), [(0.0, 1.0), (0.1, 1.0), (0.11, 2.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)]
)
def test_weighted_quantile(level: float, expected: float) -> None:
    values, weight = np.array([3.0, 1.0, 4.0, 2.0]), np.array([4.0, 1.0, 4.0, 1.0])
    assert calibration.weighted_quantile(values, weight, level) == expected


def test_a_weight_of_two_is_a_row_twice() -> None:
    random = np.random.default_rng(0)
    values, weight = random.normal(size=50), random.integers(0, 4, 50)
    for level in (0.05, 0.33, 0.5, 0.95):
        repeated = np.repeat(values, weight)
        expected = calibration.weighted_quantile(repeated, np.ones(len(repeated)), level)
        assert calibration.weighted_quantile(values, weight.astype(float), level) == expected


def test_offsets_stand_beside_their_quantiles_in_the_schema() -> None:
    outputs = (boosters.Output("low_ms", 0.05, 1), boosters.Output("high_ms", 0.95, 1))
    by_distance = calibration.Offset(0.0, ((100.0, 0.3), (1000.0, 0.1)))
    assert calibration.schema_outputs(outputs, [calibration.Offset(-0.1), by_distance]) == [
        {"name": "low_ms", "quantile": 0.05, "offset": -0.1},
        {"name": "high_ms", "quantile": 0.95, "offset": 0.0, "offset_by_distance": [[100.0, 0.3], [1000.0, 0.1]]},
    ]
    assert [output["offset"] for output in calibration.schema_outputs(outputs)] == [0.0, 0.0]


def test_near_rows_that_are_missed_by_more_get_a_larger_offset() -> None:
    outputs = (boosters.Output("high_ms", 0.9, 1),)
    random = np.random.default_rng(3)
    distance_km = np.repeat([100.0, 500.0, 2000.0, 5000.0, 10_000.0], 2000)
    error = random.exponential(100 / distance_km)
    (offset,) = calibration.offsets(outputs, np.zeros((len(error), 1)), error, np.ones(len(error)), distance_km)
    assert offset.constant == 0.0
    assert [knot for knot, _ in offset.by_distance] == list(calibration.KNOTS_KM)
    assert offset.by_distance[0][1] == pytest.approx(np.log(10), rel=0.1)
    assert offset.by_distance[1][1] == pytest.approx(np.log(10) / 5, rel=0.1)
    # Linear in the logarithm of the distance between knots, constant beyond.
    between = np.sqrt(calibration.KNOTS_KM[0] * calibration.KNOTS_KM[1])
    middle, near = offset.at(np.array([between, 0.0]))
    assert middle == pytest.approx((offset.by_distance[0][1] + offset.by_distance[1][1]) / 2)
    assert near == offset.by_distance[0][1]


def test_a_bin_of_few_rows_takes_the_offset_of_all() -> None:
    outputs = (boosters.Output("high_ms", 0.9, 1),)
    distance_km = np.concatenate([np.full(3, 100.0), np.full(500, 5000.0)])
    error = np.concatenate([np.full(3, 9.0), np.linspace(0, 1, 500)])
    (offset,) = calibration.offsets(outputs, np.zeros((503, 1)), error, np.ones(503), distance_km)
    assert offset.by_distance[0][1] == pytest.approx(0.9, abs=0.02)


# The real sets


def test_one_fold_on_the_real_sets_beats_every_rule(mirror: Path, tmp_path: Path) -> None:
    """`latency data`, and one fold of what `latency train` does: on every set, better than each rule."""
    from latency_predictor.data.command import prepare

    output = tmp_path / "paths.parquet"
    prepare(mirror, tmp_path / "raw", output, None, Console(quiet=True))
    table = tidy.read(output)
    held = split.by_place(table, 0)
    train, test = table[held.train], table[held.c2]
    fitted = paths.fit_paths(train)
    answer = Predictor(fitted.to_bytes()).predict_batch(test[FIELDS])
    sets = test["dataset"].unique()
    assert len(sets) >= 4
    for dataset in sets:
        rows = test[test["dataset"] == dataset]
        actual, weight = rows["rtt_ms"].to_numpy(), np.ones(len(rows))
        error = metrics.median_relative_error(actual, answer.loc[rows.index, "p50_ms"].to_numpy(float), weight)
        own = train[train["dataset"] == dataset]
        for name, rule in baselines.RULES.items():
            beaten = metrics.median_relative_error(actual, np.asarray(rule(own, rows)), weight)
            assert error < beaten, f"{dataset}: {error:.3f} does not beat `{name}` with {beaten:.3f}"
