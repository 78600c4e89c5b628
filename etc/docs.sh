#!/bin/sh
# Builds the pages of docs/ into run/docs; every warning is an error: sh etc/docs.sh
set -eu
cd "$(dirname "$0")/.."
sh etc/setup.sh python docs
exec .venv/bin/python -m sphinx -W --keep-going -n -q -j auto -d run/docs/doctrees -b html docs run/docs/html
