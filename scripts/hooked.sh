#!/bin/sh
# usage: hooked.sh    creates .venv-hooked: TransformerLens 2 and what it needs in older versions, on top of .venv
set -eu
fail() { echo "headgrid: $*" >&2; exit 1; }

printf '\033[1m== installing TransformerLens 2 beside TransformerLens 4, for the tests of HookedTransformer\033[0m\n'
[ -x .venv/bin/pip ] || fail "there is no .venv yet; 'make test' makes it first"
rm -rf .venv-hooked
.venv/bin/python -m venv --without-pip .venv-hooked
.venv/bin/pip --python .venv-hooked/bin/python install --quiet --no-deps -r tests/hooked/requirements.txt ||
  fail "pip could not install the packages; its message above says which"
# only now, so that pip does not take .venv's packages for its own: what is not in .venv-hooked is found in .venv
main=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
own=$(.venv-hooked/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "import site; site.addsitedir('$main')" >"$own/of_main.pth"
