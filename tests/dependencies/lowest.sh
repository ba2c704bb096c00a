#!/bin/bash
# Do the lowest versions that pyproject.toml permits work, and the newest? Run as tests/dependencies/lowest.sh [highest]
#
# Makes a virtual environment, installs the lowest version of every direct dependency (with "highest" the newest), and goes the
# usual way once (smoke.py). torch stays at the version of constraints.txt: older wheels of the registry carry CUDA, and are 2 GB.
set -euo pipefail
resolution=${1:-lowest-direct}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1
"${PYTHON:-python3}" -m venv "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install --quiet uv
"$python" -m pip install --quiet --constraint "$root/constraints.txt" torch
"$python" -c 'from importlib.metadata import version; print("torch==" + version("torch"))' > "$work/torch.txt"
# uv looks at no other place for wheels than pip does: what is installed already stays.
UV_FIND_LINKS=${PIP_FIND_LINKS:-} "$python" -m uv pip install --quiet --python "$python" --resolution "$resolution" \
  --override "$work/torch.txt" "$root[build,models,elva]"
"$python" -m uv pip freeze --python "$python"
cd "$work"
OMP_NUM_THREADS=1 "$python" "$here/smoke.py"
