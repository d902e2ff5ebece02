#!/bin/sh
# Builds the container images from the Dockerfile as it is and runs them for real:
#
#   npm run test:container            (or tests/container/run.sh [JEST ARGUMENT…])
#
# It needs root on Linux and Debian's buildah, debootstrap, util-linux and
# iproute2, no container engine and no registry of images: buildah builds the
# images on the base that base-image.sh makes, and container.ts runs them.
# Further arguments go to Jest (-t 'a name').
#
# What is checked stands in container.suite.ts and compose.suite.ts. They run in
# a network namespace of their own, with a loopback only: the port 9999 is free
# there, and nothing of this machine is disturbed; and in a process namespace, so
# that no container outlives them. Where something is missing the script says so
# in one line and ends with status 0; status 1 means that something failed.
#
# The base image is kept in ~/.cache/malamute-container (300 MB; delete it to have
# it made anew), everything else goes.
set -eu

for tool in buildah debootstrap unshare nsenter setpriv ip flock; do
  if ! command -v "$tool" >/dev/null; then
    echo "container: skipped, $tool is not installed" \
      "(apt-get install buildah debootstrap util-linux iproute2)"
    exit 0
  fi
done
if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --net --fork true 2>/dev/null; then
  echo 'container: skipped, it takes root and the right to make namespaces'
  exit 0
fi
cd "$(dirname "$0")/../.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/malamute-container
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
folder=$(mktemp -d)
export BUILDAH_ISOLATION=chroot

# Where the kernel lays layers over each other, the second image starts from what
# the first one left; otherwise each layer is a copy, and few of them are better.
storage() { echo "buildah --root $cache/$1 --runroot $folder/run --storage-driver $1"; }
BUILDAH=$(storage overlay)
layers=--layers
if ! $BUILDAH info >/dev/null 2>&1; then
  BUILDAH=$(storage vfs)
  layers=--layers=false
fi
export BUILDAH
base=$(sed -n 's/^FROM \(node:[^ ]*\).*/\1/p' Dockerfile)

# Everything but the base image goes, also what a run that was killed left. An
# image takes others along, which are then no longer there to be removed.
clean() {
  $BUILDAH rm --all >/dev/null
  kept=$($BUILDAH images --quiet --no-trunc "docker.io/library/$base" 2>/dev/null || true)
  for id in $($BUILDAH images --all --quiet --no-trunc | sort -u); do
    [ "$id" = "$kept" ] || $BUILDAH rmi --force "$id" >/dev/null 2>&1 || true
  done
}
trap 'clean; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
clean

node scripts/prepare.mjs
$BUILDAH images --quiet "docker.io/library/$base" >/dev/null 2>&1 || tests/container/base-image.sh "$base"

# npm in the build reaches the registry as npm on this machine does: its settings
# go in as the secret that the Dockerfile takes, the certificates that they trust
# by a mount where the base image has an empty folder.
npm_settings() {
  for file in globalconfig userconfig; do
    grep -v '^ *\(cafile\|registry\) *=' "$(npm config get $file)" || true
  done
  echo "registry=$(npm config get registry)"
  if cp "$(npm config get cafile)" "$folder/trusted/"; then
    echo "cafile=/mnt/$(ls "$folder/trusted")"
  fi
}
mkdir "$folder/trusted"
(umask 077 && npm_settings >"$folder/npmrc" 2>/dev/null)

# build IMAGE TARGET: builds a stage of the Dockerfile, the last one where TARGET is
# empty, and lays what the tests read of it into a folder.
build() {
  echo "container: building $1 …"
  if ! $BUILDAH build $layers --pull-never --format docker --tag "$1" ${2:+--target "$2"} \
    --secret "id=npmrc,src=$folder/npmrc" --volume "$folder/trusted:/mnt:ro" \
    . >"$folder/build.log" 2>&1; then
    cat "$folder/build.log" >&2
    echo "container: $1 does not build" >&2
    exit 1
  fi
  mkdir -p "$folder/images/$1"
  $BUILDAH inspect --type image "$1" >"$folder/images/$1/image.json"
  root=$($BUILDAH mount "$($BUILDAH from --pull-never "$1")")
  ln -s "$root" "$folder/images/$1/root"
}
build malamute-ts ''
build malamute-ts-workers workers
export MALAMUTE_IMAGES="$folder/images"

status=0
unshare --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up && "$@"' sh \
  node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
  --runInBand --verbose --testMatch '**/tests/container/*.suite.ts' \
  --json --outputFile "$folder/result.json" "$@" >"$folder/jest.json" || status=$?
node -p 'const { numPassedTests, numFailedTests } = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
  `${numPassedTests} passed, ${numFailedTests} failed`' "$folder/result.json"
exit "$status"
