#!/bin/sh
# usage: lab.sh JUPYTER    opens the first notebook in JupyterLab, on this machine only
set -eu
flags=
[ "$(id -u)" = 0 ] && flags=--allow-root
# without a screen there is no browser to open: the printed address is for one elsewhere
[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname)" = Darwin ] || flags="$flags --no-browser"
exec "$1" lab $flags --ip=127.0.0.1 --ServerApp.root_dir=notebooks \
  --LabApp.default_url=/lab/tree/01_first_look.ipynb
