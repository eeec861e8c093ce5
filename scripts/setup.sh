#!/bin/sh
# usage: setup.sh PYTHON EXTRA    creates .venv and installs headgrid with that extra, in the versions of constraints.txt
set -eu
python=$1 extra=$2
fail() { echo "headgrid: $*" >&2; exit 1; }
say() { printf '\033[1m== %s\033[0m\n' "$*"; }

command -v "$python" >/dev/null 2>&1 || fail "$python is not installed; headgrid needs Python 3.11 or newer (apt-get install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old; headgrid needs Python 3.11 or newer. Name another one: make PYTHON=python3.12"
if [ ! -x .venv/bin/pip ]; then
  say "creating .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv || fail "Python's venv module is missing; run 'apt-get install python3-venv'"
fi
say "installing headgrid and its $extra packages; the first time this takes a minute or two"
.venv/bin/pip install --quiet -c constraints.txt -e ".[$extra]" ||
  fail "pip could not install the packages; its message above says which. A network connection is needed the first time"
# this JupyterLab asks nobody for news: its first question would cover the notebook
mkdir -p .venv/share/jupyter/lab/settings .venv/stamps
echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
  >.venv/share/jupyter/lab/settings/overrides.json
touch ".venv/stamps/$extra"
[ "$extra" != test ] || touch .venv/stamps/demo .venv/stamps/docs # the test packages include those of both
