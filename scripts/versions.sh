#!/bin/sh
# usage: versions.sh    runs smoke.py with the oldest versions that pyproject.toml allows and with the newest that pip finds, in
# every Python from 3.11 on that is on PATH or among pyenv's. What was found stands in docs/versions.md. It takes gigabytes.
set -u
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=
python3 -m venv "$work/tools" && "$work/tools/bin/pip" install --quiet "uv>=0.4" || exit 1

pythons=$(
  for found in $(command -v python3.11 python3.12 python3.13 python3.14 2>/dev/null) "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-9].*/bin/python; do
    [ -x "$found" ] && "$found" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null
  done | sort -V -u -k1,1
)
[ -n "$pythons" ] || { echo "headgrid: no Python from 3.11 on is on PATH or among pyenv's" >&2; exit 1; }

run() { # name, python, resolution
  printf '\033[1m== %s\033[0m\n' "$1"
  rm -rf "$work/env" && "$work/tools/bin/uv" venv --quiet --python "$2" "$work/env" &&
    "$work/tools/bin/uv" pip install --quiet --python "$work/env/bin/python" --resolution "$3" "$here" &&
    (cd "$work" && "$work/env/bin/python" "$here/scripts/smoke.py") || failed="$failed, $1"
}

oldest=$(echo "$pythons" | head -n 1 | cut -d' ' -f2)
run "the oldest packages, $("$oldest" --version)" "$oldest" lowest-direct
while read -r version path; do
  run "the newest packages, Python $version" "$path" highest
done <<PYTHONS
$pythons
PYTHONS
[ -z "$failed" ] || { echo "headgrid: failed with${failed#,}; what is above says where"; exit 1; }
