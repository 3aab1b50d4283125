"""Each trap of each set, over a few hand-typed rows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latency_predictor.data.convert import Converted, convert, poki, ripe, skyplane, wondernetwork
from latency_predictor.data.errors import DataError
from latency_predictor.data.geo import floor_ms, great_circle_km
from latency_predictor.data.sources import Reference

Csv = Callable[..., Path]


def reasons(result: Converted) -> dict[str, int]:
    """Dropped rows by reason, after checking that every row is accounted for."""
    assert len(result.table) + sum(entry.rows for entry in result.dropped) == result.rows_in
    return {entry.reason: entry.rows for entry in result.dropped}


# --- great circle ---


def test_great_circle_of_known_distances() -> None:
    # A quarter and a half of the mean meridian; London to New York is 5,570 km in every atlas.
    km = great_circle_km([0, 0, 51.5074], [0, 0, -0.1278], [90, 0, 40.7128], [0, 180, -74.006])
    assert km == pytest.approx([10007.557, 20015.115, 5570.2], abs=0.1)


def test_floor_is_light_in_fibre_there_and_back() -> None:
    frame = pd.DataFrame({"src_lat": [0.0], "src_lon": [0.0], "dst_lat": [90.0], "dst_lon": [0.0]})
    assert floor_ms(frame) == pytest.approx([2 * 10007.557 / 199.861639], rel=1e-6)


# --- WonderNetwork ---

SERVERS = (
    "id,name,title,location,state,country,state_abbv,continent,latitude,longitude,selected,,,11",
    "1,Melbourne,Melbourne,Melbourne,Victoria,Australia,VIC,4,-37.7833,144.9667,1,,,",
    "8,Amsterdam,Amsterdam,Amsterdam,,Netherlands,,3,52.3500,4.9167,1,,,",
    "70,Prague,Prague,Prague,,Czech Republic,,3,50.0833,14.4167,1,,,",
    "204,Belfast,Belfast,Belfast,Northern Ireland,United Kingdom,NIR,3,54.5970,-5.9300,,,,",
    "220,LaCeiba,La Ceiba,La Ceiba,Atlantida,Honduras,AT,1,15.7703,-86.7919,,,,",
)
PINGS = "source,destination,min,avg,max,mdev"


def test_wondernetwork_keeps_pairs_of_servers(csv: Csv, reference: Reference) -> None:
    pings = csv("pings.csv", PINGS, "1,8,260.5,261.25,270.0,0.5", "8,1,262.0,263.0,264.0,0.25")
    result = wondernetwork.convert(csv("servers.csv", *SERVERS), pings, reference)
    assert reasons(result) == {}
    row = result.table.iloc[0]
    assert row["dataset"] == "wondernetwork"
    assert (row["src_name"], row["src_country"]) == ("Melbourne", "AU")
    assert (row["dst_name"], row["dst_country"]) == ("Amsterdam", "NL")
    assert (row["src_lat"], row["src_lon"], row["dst_lat"], row["dst_lon"]) == (
        -37.7833,
        144.9667,
        52.35,
        4.9167,
    )
    assert (row["src_access"], row["dst_access"]) == ("server", "server")
    assert (row["src_provider"], row["dst_provider"]) == ("other", "other")
    rtts = row[["rtt_ms", "rtt_min_ms", "rtt_max_ms", "rtt_mdev_ms", "n", "weight"]]
    assert rtts.tolist() == [261.25, 260.5, 270.0, 0.5, 30.0, 1.0]
    assert row[["src_tier", "dst_tier", "rtt_p95_ms"]].isna().all()
    assert result.table["rtt_ms"].tolist() == [261.25, 263.0]


def test_wondernetwork_drops_self_pairs_missing_ids_and_mislocated_servers(csv: Csv, reference: Reference) -> None:
    pings = csv(
        "pings.csv",
        PINGS,
        "1,1,0.01,0.02,0.1,0.02",
        "1,292,100,101,102,0.1",
        "295,8,100,101,102,0.1",
        "293,293,0.01,0.02,0.1,0.02",
        "204,8,40,41,42,0.1",
        "1,220,300,301,302,0.1",
        "8,1,262,263,264,0.2",
    )
    result = wondernetwork.convert(csv("servers.csv", *SERVERS), pings, reference)
    assert reasons(result) == {
        "a server to itself": 2,
        "an end is not in the server list": 2,
        "an end is mislocated (servers 204 and 220)": 2,
    }
    assert result.table[["src_name", "dst_name"]].to_numpy().tolist() == [["Amsterdam", "Melbourne"]]


def test_wondernetwork_drops_rows_below_light_in_fibre_even_if_only_the_fastest_ping_is(
    csv: Csv, reference: Reference
) -> None:
    # Amsterdam to Prague: 713 km, floor 7.13 ms.
    pings = csv("pings.csv", PINGS, "8,70,5.0,6.0,7.0,0.1", "70,8,7.0,9.0,12.0,0.1", "8,70,7.2,9.0,12.0,0.1")
    result = wondernetwork.convert(csv("servers.csv", *SERVERS), pings, reference)
    assert reasons(result) == {"below light in fibre": 2}
    assert result.table["rtt_min_ms"].tolist() == [7.2]
    assert result.table["src_country"].tolist() == ["NL"]
    assert result.table["dst_country"].tolist() == ["CZ"]


def test_wondernetwork_names_a_country_it_does_not_know(csv: Csv, reference: Reference) -> None:
    servers = csv("servers.csv", SERVERS[0], "5,X,X,X,,Atlantis,,3,0,0,1,,,")
    with pytest.raises(DataError, match="Atlantis"):
        wondernetwork.convert(servers, csv("pings.csv", PINGS), reference)


# --- Skyplane ---

SKYPLANE = (
    "src_region,src_tier,src_instance_class,dst_region,dst_tier,dst_instance_class,min_rtt,avg_rtt,max_rtt,mdev_rtt"
)


def skyplane_row(src: str, dst: str, low: float, mean: float, high: float, tiers: str = "PREMIUM STANDARD") -> str:
    src_tier, dst_tier = tiers.split()
    return f"{src},{src_tier},m5.large,{dst},{dst_tier},n2-standard-4,{low},{mean},{high},"


def test_skyplane_takes_region_tier_and_provider(csv: Csv, reference: Reference) -> None:
    path = csv("latency.csv", SKYPLANE, skyplane_row("aws:us-east-1", "gcp:us-west1-a", 60.5, 61.0, 90.0) + "0.25")
    result = skyplane.convert(path, reference)
    row = result.table.iloc[0]
    assert (row["src_name"], row["src_provider"], row["src_tier"]) == ("aws:us-east-1", "aws", "premium")
    assert (row["dst_name"], row["dst_provider"], row["dst_tier"]) == ("gcp:us-west1", "gcp", "standard")
    assert (row["src_lat"], row["src_lon"], row["dst_lat"], row["dst_lon"]) == (39.04, -77.49, 45.59, -121.18)
    assert (row["src_country"], row["dst_access"], row["n"]) == ("US", "server", 10.0)
    rtts = row[["rtt_ms", "rtt_min_ms", "rtt_max_ms", "rtt_mdev_ms"]]
    assert rtts.tolist() == [61.0, 60.5, 90.0, 0.25]
    assert np.isnan(row["rtt_p95_ms"])


def test_skyplane_trusts_a_google_source_only_if_steady_and_above_the_floor(csv: Csv, reference: Reference) -> None:
    path = csv(
        "latency.csv",
        SKYPLANE,
        # The Dalles to Ashburn: 3,568 km, floor 35.7 ms.
        skyplane_row("gcp:us-west1-a", "aws:us-east-1", 60.0, 61.0, 65.0),
        skyplane_row("gcp:us-west1-a", "aws:us-east-1", 60.0, 61.0, 65.1),
        skyplane_row("gcp:us-west1-a", "aws:us-east-1", 30.0, 31.0, 32.0),
        skyplane_row("gcp:us-west1-a", "aws:us-east-1", 20.0, 60.0, 90.0),
        skyplane_row("azure:germanywestcentral", "aws:us-east-1", 90.0, 110.0, 190.0),
    )
    result = skyplane.convert(path, reference)
    assert reasons(result) == {
        "source gcp, below light in fibre": 2,
        "source gcp, pings differ by more than 5 ms": 1,
    }
    assert result.table["rtt_max_ms"].tolist() == [65.0, 190.0]
    assert result.table["rtt_mdev_ms"].isna().all()


def test_skyplane_drops_impossible_rows_of_other_clouds_self_pairs_and_unknown_regions(
    csv: Csv, reference: Reference
) -> None:
    path = csv(
        "latency.csv",
        SKYPLANE,
        skyplane_row("aws:us-east-1", "gcp:us-west1-a", 30.0, 31.0, 32.0),
        skyplane_row("aws:us-east-1", "aws:us-east-1", 0.5, 0.6, 0.7, "PREMIUM PREMIUM"),
        skyplane_row("aws:mars-north-1", "aws:us-east-1", 100.0, 101.0, 102.0),
        # The same zone in two tiers is two machines; the same city in two clouds is two ends.
        skyplane_row("gcp:europe-west3-a", "gcp:europe-west3-a", 0.9, 1.0, 1.2),
        skyplane_row("aws:eu-central-1", "gcp:europe-west3-a", 0.9, 1.0, 1.2),
    )
    result = skyplane.convert(path, reference)
    assert reasons(result) == {
        "a region without known coordinates": 1,
        "a machine to itself": 1,
        "below light in fibre": 1,
    }
    assert result.table["src_name"].tolist() == ["gcp:europe-west3", "aws:eu-central-1"]


# --- poki ---

POKI = "from_country,from_region,to_country,to_region,latency_ms_p50"


def test_poki_places_countries_and_states_at_their_centroids(csv: Csv, reference: Reference) -> None:
    # NA is Namibia, not a missing value.
    result = poki.convert(csv("latencies.csv", POKI, "NA,,US,US-CA,310"), reference)
    row = result.table.iloc[0]
    assert (row["src_country"], row["src_name"], row["dst_country"], row["dst_name"]) == (
        "NA",
        "Namibia",
        "US",
        "California, US",
    )
    assert (row["src_lat"], row["src_lon"]) == pytest.approx((-21.351912, 17.198567), abs=1e-6)
    # Between Los Angeles and San Francisco.
    assert 33.5 < row["dst_lat"] < 37.8
    assert -122.5 < row["dst_lon"] < -117.0
    assert (row["src_access"], row["dst_access"], row["rtt_ms"]) == ("residential", "residential", 310.0)
    assert row[["src_provider", "dst_provider", "src_tier", "rtt_min_ms", "rtt_p95_ms", "n"]].isna().all()


def test_poki_drops_regions_zeros_and_rows_within_one_country(csv: Csv, reference: Reference) -> None:
    path = csv(
        "latencies.csv",
        POKI,
        "RU,RU-BU,RU,RU-KAM,0",
        "AD,,BR,BR-SP,300",
        "PG,,SY,,0",
        "US,US-CA,US,US-CA,40",
        "DE,,DE,,35",
        "US,US-CA,US,US-NY,80",
        "AU,,GB,,50",
    )
    result = poki.convert(path, reference)
    assert reasons(result) == {
        "an end is neither a country nor a US state": 2,
        "RTT of 0 ms": 1,
        "both ends in the same country or state": 2,
        "below light in fibre": 1,
    }
    assert result.table["dst_name"].tolist() == ["New York, US"]


# --- RIPE ---

RIPE = "src_id,dst_id,access_tech,src_country,src_lat,src_lon,dst_provider,dst_country,dst_lat,dst_lon,n," + (
    "rtt_min_ms,rtt_p50_ms,rtt_p95_ms"
)


def test_ripe_takes_the_median_and_the_access_of_the_source(csv: Csv) -> None:
    path = csv(
        "pairs.csv",
        RIPE,
        "probe:0,aws:af-south-1,wifi,NL,52.35,4.93,aws,ZA,-33.92,18.42,28,153.5,154.25,190.5",
        "probe:1,aws:af-south-1,wired_or_unlabelled,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,153.5,154.25,154.25",
        "probe:2,hetzner:fsn1,starlink,NL,52.35,4.93,hetzner,ZA,-33.92,18.42,2,200,210,220",
    )
    result = ripe.convert(path)
    assert reasons(result) == {}
    table = result.table
    assert table["src_access"].fillna("missing").tolist() == ["wifi", "missing", "starlink"]
    assert table["dst_access"].tolist() == ["server"] * 3
    assert table["dst_provider"].tolist() == ["aws", "aws", "other"]
    assert table["src_provider"].isna().all()
    assert table["rtt_ms"].tolist() == [154.25, 154.25, 210.0]
    # One measurement has no 95th percentile.
    assert table["rtt_p95_ms"].fillna(-1).tolist() == [190.5, -1, 220.0]
    assert table["n"].tolist() == [28.0, 1.0, 2.0]


def test_ripe_drops_rows_without_position_rtt_or_known_access_and_below_the_floor(csv: Csv) -> None:
    path = csv(
        "pairs.csv",
        RIPE,
        "probe:0,aws:af-south-1,wired,NL,,4.93,aws,ZA,-33.92,18.42,1,153,154,154",
        "probe:1,aws:af-south-1,wired,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,,,",
        "probe:2,aws:af-south-1,carrier pigeon,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,153,154,154",
        "probe:3,aws:af-south-1,wired,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,90,154,154",
        "probe:4,aws:af-south-1,wired,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,0,0,0",
        "probe:5,aws:af-south-1,wired,NL,52.35,4.93,aws,ZA,-33.92,18.42,1,153,154,154",
    )
    result = ripe.convert(path)
    assert reasons(result) == {
        "unknown access technology": 1,
        "an end without coordinates": 1,
        "no RTT": 1,
        "RTT of 0 ms": 1,
        "below light in fibre": 1,
    }
    assert result.table["src_name"].tolist() == ["probe:5"]


# --- all ---


def test_a_file_of_another_form_is_named_with_the_columns_expected(csv: Csv) -> None:
    path = csv("pairs.csv", "a,b", "1,2")
    with pytest.raises(DataError, match=r"pairs\.csv cannot be read .* Expected are the columns src_id, dst_id"):
        ripe.convert(path)


def test_text_where_a_number_belongs_is_an_error(csv: Csv, reference: Reference) -> None:
    path = csv("latencies.csv", POKI, "AD,,BR,,fast")
    with pytest.raises(DataError, match=r"latencies\.csv"):
        poki.convert(path, reference)


def test_an_unknown_set_has_no_converter(reference: Reference) -> None:
    with pytest.raises(ValueError, match="'pigeon'"):
        convert("pigeon", {}, reference)
