#!/bin/sh
# Plays every pattern between the original Malamute, written in C, and ours:
#
#   tests/interop/c-malamute.sh PREFIX [JEST ARGUMENT…]
#
# PREFIX is where zeromq/malamute (github.com/zeromq/malamute, 1.2 or later) is
# installed: PREFIX/bin/malamute, PREFIX/include/malamute.h, PREFIX/lib/libmlm.*.
# It also needs a C compiler and the headers of czmq and libzmq (Debian:
# gcc libczmq-dev libzmq3-dev). Further arguments go to Jest (-t 'a name').
#
# What runs: c-malamute.suite.ts in this folder, which drives the C client
# through c-client.c, compiled here into a temporary folder. Nothing of the C
# project is kept. Where there is no C Malamute the script says so in one line
# and ends with status 0; status 1 means that something failed.
set -eu

prefix=${1:-}
for file in bin/malamute include/malamute.h; do
  if [ -z "$prefix" ] || [ ! -e "$prefix/$file" ]; then
    echo "c-malamute: skipped, no C Malamute: ${prefix:-PREFIX}/$file is not there" \
      "(usage: tests/interop/c-malamute.sh PREFIX)"
    exit 0
  fi
done
shift
prefix=$(cd "$prefix" && pwd)
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

libraries=$(pkg-config --cflags --libs libczmq libzmq 2>/dev/null || echo '-lczmq -lzmq')
# The list of libraries is meant to be split.
# shellcheck disable=SC2086
if ! "${CC:-cc}" -std=gnu99 -Wall -Wextra -O1 -I"$prefix/include" tests/interop/c-client.c \
  -o "$folder/c-client" -L"$prefix/lib" -lmlm $libraries; then
  echo 'c-malamute: c-client.c does not compile; it needs gcc, libczmq-dev and libzmq3-dev' >&2
  exit 1
fi

node scripts/prepare.mjs
export MALAMUTE_C_PREFIX="$prefix" MALAMUTE_C_CLIENT="$folder/c-client"
node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
  --testMatch '**/tests/interop/c-malamute.suite.ts' "$@"
