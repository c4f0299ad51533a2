#!/usr/bin/env bash
# Tests and measurements on a GPU, on a machine that has PyTorch and nothing else of this project.
#
#     tests/on_gpu.sh [--device cuda] [--wheels FOLDER] OUT
#
# takes at most five minutes and writes to the new folder OUT:
#     device.txt  the device and the versions
#     tests.txt   the tests of tests/test_devices.py
#     bench.txt   the times of all methods as ratios to supervised training; bench.json has all seconds
# The status is 0 if everything succeeded. --device cpu tests the script itself. Without an internet connection, --wheels
# names a folder with the other packages: `pip download -d FOLDER -c constraints.txt . pytest beartype hatchling`.
set -euo pipefail

usage() {
  echo "Usage: tests/on_gpu.sh [--device cuda|cpu] [--wheels FOLDER] OUT (a new folder)" >&2
  exit 2
}

device=cuda
from=()
while [[ "${1:-}" == --* ]]; do
  [ "$#" -ge 2 ] || usage
  case "$1" in
    --device) device="$2" ;;
    --wheels) from=(--no-index --find-links "$(cd "$2" && pwd)") ;;
    *) usage ;;
  esac
  shift 2
done
[ "$#" -eq 1 ] && [ ! -e "$1" ] || usage
mkdir -p "$1"
out="$(cd "$1" && pwd)"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 - "$device" <<'PYTHON'
import sys

import torch

if sys.argv[1] == "cuda" and not torch.cuda.is_available():
    sys.exit("This script needs a GPU. PyTorch finds none. --device cpu tests the script without one.")
PYTHON

# An environment that sees the machine's PyTorch, and has the project and its other packages.
python3 -m venv --system-site-packages "$out/environment"
python="$out/environment/bin/python"
grep -v '^torch==' constraints.txt >"$out/constraints.txt"
"$python" -m pip install --quiet "${from[@]}" --constraint "$out/constraints.txt" . pytest beartype

"$python" - "$device" >"$out/device.txt" <<'PYTHON'
import json
import sys

import torch

from amfs_lab.provenance import machine

name = torch.cuda.get_device_name() if sys.argv[1] == "cuda" else "cpu"
print(json.dumps({"device": name} | machine(), indent=1))
PYTHON

status=0
timeout 150 "$python" -m pytest tests/test_devices.py -q -p no:cacheprovider -o addopts= >"$out/tests.txt" 2>&1 || status=$?
tail -n 1 "$out/tests.txt"
timeout 150 "$python" -m amfs_lab bench --device "$device" --rounds 3 --shapes 5w1s --json "$out/bench.json" \
  >"$out/bench.txt" 2>&1 || status=$?
cat "$out/bench.txt"
exit "$status"
