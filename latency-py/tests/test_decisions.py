"""Rank, timeout, judge, and places as objects: what the core answers, as Python's users meet it."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latency_predictor as lp
from latency_predictor import Place, Predictor

REGIONS = ["aws:us-east-1", "aws:eu-west-2", "aws:eu-central-1"]


def predicted(answer: lp.Prediction) -> lp.Prediction:
    """What it says of its path alone."""
    return lp.Prediction(**{name: getattr(answer, name) for name in lp.Prediction.__slots__})


def test_candidates_are_ranked_by_their_median(predictor: Predictor) -> None:
    ranked = predictor.rank("Lisbon", REGIONS, budget_ms=60)
    assert [(one.index, one.candidate) for one in ranked] == [(1, REGIONS[1]), (2, REGIONS[2]), (0, REGIONS[0])]
    assert [one.p50_ms for one in ranked] == sorted(one.p50_ms for one in ranked)
    assert sum(one.p_best for one in ranked) == pytest.approx(1, abs=1e-9)
    assert ranked[0].p_within_budget is not None
    assert ranked[0].p_within_budget > 0.5 > ranked[-1].p_within_budget  # type: ignore[operator]
    for one in ranked:
        assert predicted(one) == predictor.predict("Lisbon", one.candidate)
    assert predictor.rank("Lisbon", REGIONS)[0].p_within_budget is None
    assert predictor.rank("Lisbon", []) == []


def test_candidates_take_every_form_and_fields_hold_for_all(predictor: Predictor) -> None:
    candidates: list[Any] = ["Paris", Place.find("Paris"), {"place": "Paris"}, {"lat": 48.85, "lon": 2.35}]
    ranked = predictor.rank({"place": "Oslo", "access": "wifi"}, iter(candidates), dst_access="server")
    assert sorted(one.index for one in ranked) == [0, 1, 2, 3]
    alone = predictor.predict("Oslo", "Paris", src_access="wifi", dst_access="server")
    assert {one.p50_ms for one in ranked if one.index < 3} == {alone.p50_ms}
    assert all(one.candidate is candidates[one.index] for one in ranked)


def test_a_timeout_is_a_quantile_of_one_measurement(predictor: Predictor) -> None:
    alone = predictor.predict("London", "Tokyo")
    timeout = predictor.timeout("London", "Tokyo")
    assert (timeout.timeout_ms, timeout.quantile) == (alone.p99_ms, 0.99)
    assert predicted(timeout) == alone
    assert predictor.timeout("London", "Tokyo", quantile=0.9).timeout_ms == pytest.approx(alone.p90_ms, rel=1e-4)
    assert alone.p90_ms < predictor.timeout("London", "Tokyo", quantile=0.95).timeout_ms < alone.p99_ms


@pytest.mark.parametrize(
    ("measured_ms", "verdict", "words"),
    [
        (30, "impossible", "less than light in vacuum needs"),
        (80.0, "suspicious", "less than light in fibre needs"),
        (np.float64(240), "plausible", "what such paths show"),
        (2000, "slow", "more than 99 %"),
    ],
)
def test_a_measurement_is_judged(predictor: Predictor, measured_ms: float, verdict: str, words: str) -> None:
    judgement = predictor.judge("London", "Tokyo", measured_ms=measured_ms)
    assert judgement.verdict == verdict
    assert words in judgement.message
    assert predicted(judgement) == predictor.predict("London", "Tokyo")
    assert (judgement.quantile == 0) == (verdict in ("impossible", "suspicious"))


def test_a_position_that_may_be_wrong_is_allowed_for(predictor: Predictor) -> None:
    assert predictor.judge("London", "Tokyo", measured_ms=60).verdict == "impossible"
    london = {"place": "London", "uncertainty_km": 1000}
    assert predictor.judge(london, "Tokyo", measured_ms=60).verdict == "suspicious"
    # It is no field of the model, and changes no prediction.
    assert predictor.predict(london, "Tokyo") == predictor.predict("London", "Tokyo")


def test_a_model_without_places_says_so(radio_model: bytes) -> None:
    predictor = Predictor(radio_model)
    for ask in (
        lambda: predictor.rank("London", ["Paris"]),
        lambda: predictor.timeout(load=0.5),
        lambda: predictor.judge(load=0.5, measured_ms=5),
    ):
        with pytest.raises(lp.InvalidInputError, match="knows no places") as caught:
            ask()
        assert caught.value.code == "UNSUPPORTED"


def test_the_bundled_model_is_asked_without_loading_it_first(predictor: Predictor) -> None:
    assert lp.predict("London", "Tokyo") == predictor.predict("London", "Tokyo")
    assert lp.rank("Lisbon", REGIONS, budget_ms=50) == predictor.rank("Lisbon", REGIONS, budget_ms=50)
    assert lp.timeout("London", "Tokyo", quantile=0.9) == predictor.timeout("London", "Tokyo", quantile=0.9)
    assert lp.judge("London", "Tokyo", measured_ms=9) == predictor.judge("London", "Tokyo", measured_ms=9)
    rows = {"src": ["London"], "dst": ["Tokyo"]}
    assert lp.predict_batch(rows)["p50_ms"] == predictor.predict_batch(rows)["p50_ms"]


# Places


def test_a_place_says_what_it_is() -> None:
    london = Place.find("aws:eu-west-2")
    assert (london.name, london.country, london.kind, london.provider) == ("London", "GB", "cloud_region", "aws")
    assert (str(london), london.uncertainty_km) == ("aws:eu-west-2", 100)
    assert repr(Place.find("Portland, OR")) == "Place('Portland, OR, US', lat=45.52, lon=-122.68)"
    assert (Place.find("LHR").kind, Place.find("London").kind, Place.at(1, 2).kind) == (
        "airport",
        "city",
        "coordinates",
    )
    assert Place.at(1, 2).country is None
    assert [str(place) for place in Place.suggest("san f", 2)] == [
        "San Francisco, CA, US",
        "San Fernando, Central Luzon, PH",
    ]
    assert {"aws", "azure", "gcp"} <= {place.provider for place in Place.cloud_regions()}


def test_a_place_is_an_end_and_keeps_what_it_implies(predictor: Predictor) -> None:
    region = Place.find("aws:eu-west-2")
    assert predictor.predict(region, "Tokyo") == predictor.predict("aws:eu-west-2", "Tokyo")
    assert predictor.predict(region, "Tokyo", src_provider="gcp") == predictor.predict(
        "aws:eu-west-2", "Tokyo", src_provider="gcp"
    )
    assert predictor.judge(region, "Tokyo", measured_ms=20) == predictor.judge("aws:eu-west-2", "Tokyo", measured_ms=20)


@pytest.mark.parametrize("name", ["London", "LHR", "gcp:us-east1", "51.5,-0.25"])
def test_places_are_values(name: str) -> None:
    place = Place.find(name)
    for again in (Place.find(name), copy.deepcopy(place), pickle.loads(pickle.dumps(place))):  # noqa: S301
        assert again == place
        assert hash(again) == hash(place)
        assert (again.kind, again.provider) == (place.kind, place.provider)
    assert place != Place.find("Oslo")
    assert place != name
    with pytest.raises(AttributeError):
        place.lat = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ask", "code", "field"),
    [
        (lambda: Place.find("Nowhereville"), "UNKNOWN_PLACE", None),
        (lambda: Place.find("Springfield"), "AMBIGUOUS_PLACE", None),
        (lambda: Place.at(91, 0), "INVALID_FIELD", "lat"),
    ],
)
def test_what_is_no_place_is_named(ask: Any, code: str, field: str | None) -> None:
    with pytest.raises(lp.InvalidInputError) as caught:
        ask()
    assert (caught.value.code, caught.value.field) == (code, field)


# How answers look


def test_an_answer_reads_well_in_a_terminal(predictor: Predictor) -> None:
    alone = predictor.predict("London", "Tokyo")
    assert repr(alone) == (
        f"Prediction(p50_ms={alone.p50_ms}, low_ms={alone.low_ms}, high_ms={alone.high_ms}, p90_ms={alone.p90_ms}, "
        f"p99_ms={alone.p99_ms}, floor_ms={alone.floor_ms}, distance_km={alone.distance_km})"
    )
    assert "OUT_OF_RANGE" in repr(predictor.predict("-89,0", "Tokyo"))
    assert repr(predictor.rank("London", ["Paris"])[0]).startswith(
        "Ranked(candidate='Paris', index=0, p_best=1.0, p50_ms="
    )
    assert "p_within_budget" not in repr(predictor.rank("London", ["Paris"])[0])


def test_an_answer_is_a_table_in_a_notebook(predictor: Predictor, radio_model: bytes) -> None:
    html = predictor.judge("-89,0", "Tokyo", measured_ms=3)._repr_html_()
    assert html.startswith("<table><tr><th")
    assert "impossible" in html
    assert "OUT_OF_RANGE" in html
    assert "floor_ms" not in Predictor(radio_model).predict(load=0.5)._repr_html_()
    assert "&lt;Predictor latency" in predictor._repr_html_()
    assert "server, wired, wifi" in predictor._repr_html_()


def test_an_answer_becomes_plain_values(predictor: Predictor, radio_model: bytes) -> None:
    plain = predictor.predict("-89,0", "Tokyo").to_dict()
    assert list(plain)[:7] == ["p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms", "floor_ms", "distance_km"]
    assert plain["warnings"][0].keys() == {"code", "field", "message"}
    assert "floor_ms" not in Predictor(radio_model).predict(load=0.5).to_dict()
    assert predictor.rank("London", ["Paris"])[0].to_dict()["candidate"] == "Paris"


def test_questions_have_their_golden_answers(predictor: Predictor, root: Path) -> None:
    golden = json.loads((root / "data" / "golden" / "questions.json").read_text())
    assert golden["model"]["sha256"] == predictor.model_info["sha256"]
    for asked in golden["rank"]:
        ranked = predictor.rank(asked["src"], asked["candidates"], budget_ms=asked["budget_ms"])
        answers = [one.to_dict() for one in ranked]
        assert [answer.pop("candidate") for answer in answers] == [asked["candidates"][one.index] for one in ranked]
        assert answers == asked["answer"]
    for asked in golden["timeout"]:
        timeout = predictor.timeout(asked["src"], asked["dst"], quantile=asked["quantile"])
        assert timeout.to_dict() == asked["answer"]
    for asked in golden["judge"]:
        judgement = predictor.judge(asked["src"], asked["dst"], measured_ms=asked["measured_ms"])
        assert judgement.to_dict() == asked["answer"]
    assert min(len(golden[name]) for name in ("rank", "timeout", "judge")) >= 20
