"""`latency_predictor.spark` where there is no PySpark: nobody needs it who does not ask for it."""

import subprocess
import sys

BLOCKED = "import sys; sys.modules['pyspark'] = None\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_package_works_without_pyspark() -> None:
    done = run(BLOCKED + "import latency_predictor as lp; print(lp.predict('London', 'Tokyo').p50_ms > 0)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_spark_without_pyspark_names_the_cure() -> None:
    code = (
        "import latency_predictor as lp\n"
        "try:\n    import latency_predictor.spark\n"
        "except lp.LatencyError as error:\n    print(error.code, error)"
    )
    done = run(BLOCKED + code)
    assert done.stderr == ""
    assert done.stdout.startswith("MISSING_PACKAGE ")
    assert "pip install 'latency-predictor[spark]'" in done.stdout
