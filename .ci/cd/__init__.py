"""The deployment of a commit: verify, build, tag, smoke test, SBOM, push, analyse the models, deploy behind a gate."""
