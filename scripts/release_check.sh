#!/bin/sh
# usage: release_check.sh PYTHON    builds wheel and sdist, checks them, and runs what each installs in a bare environment
set -eu
python=$1 here=$(pwd)
fail() { echo "headgrid: $*" >&2; exit 1; }
say() { printf '\033[1m== %s\033[0m\n' "$*"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say "building wheel and sdist, and asking twine"
"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet "build>=1.2" "hatchling>=1.26" "twine>=6" ||
  fail "pip could not install the tools; its message above says which"
"$work/tools/bin/python" -m build --no-isolation --outdir "$work/dist" . >"$work/log" 2>&1 || { cat "$work/log"; fail "no build"; }
"$work/tools/bin/twine" check --strict "$work"/dist/*

say "weighing the wheel"
"$python" - "$work"/dist/*.whl <<'PYTHON'
import sys, zipfile

files = zipfile.ZipFile(sys.argv[1]).infolist()
models = sum(one.file_size for one in files if one.filename.startswith("headgrid/demo/") and not one.filename.endswith(".py"))
others = sum(one.file_size for one in files) - models
print(f"{others / 1e6:.2f} MB beside {models / 1e6:.2f} MB of models, {len(files)} files")
sys.exit("headgrid: more than 3 MB beside the models" if others >= 3e6 else 0)
PYTHON

say "installing the wheel, and nothing else but what it requires, in the versions of constraints.txt"
"$python" -m venv "$work/bare"
"$work/bare/bin/pip" install --quiet -c constraints.txt "$work"/dist/*.whl || fail "pip could not install the wheel"
"$work/bare/bin/pip" check
smoke() { (cd "$work" && env -u PYTHONPATH HF_HUB_OFFLINE=1 "$work/bare/bin/python" -W error::DeprecationWarning:headgrid "$here/scripts/smoke.py"); }
smoke

say "the same from the sdist"
"$work/tools/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/again" "$work"/dist/*.tar.gz
"$work/bare/bin/pip" install --quiet --no-deps --force-reinstall "$work"/again/*.whl
smoke
say "wheel and sdist are right"
