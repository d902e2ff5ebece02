#!/bin/sh
# Makes a stand-in for the official Node image that the Dockerfile names, where
# no registry of images is within reach, and commits it under that very name:
#
#   tests/container/base-image.sh IMAGE       (run by run.sh, which sets BUILDAH)
#
# IMAGE is like node:26-trixie-slim. It gets the Debian that the name says, by
# debootstrap; the Node that the name says, from the npm registry's packages of
# its binary, or this machine's Node where those cannot be had; npm, and the
# user `node`. It is not the official image, and is for tests only.
set -eu

image=$1
major=$(expr "$image" : 'node:\([0-9]*\)-[a-z]*-slim$')
suite=$(expr "$image" : 'node:[0-9]*-\([a-z]*\)-slim$')

packages=$(mktemp -d)
container=$($BUILDAH from scratch)
trap 'rm -rf "$packages"; $BUILDAH rm "$container" >/dev/null' EXIT
trap 'exit 1' HUP INT TERM
root=$($BUILDAH mount "$container")

# The libraries that the node binary is linked with.
debootstrap --variant=minbase --include=libatomic1,libstdc++6 "$suite" "$root" \
  >"$packages/debootstrap.log" || {
  tail -n 20 "$packages/debootstrap.log" >&2
  exit 1
}
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
echo 'node:x:1000:' >>"$root/etc/group"
echo 'node:x:1000:1000::/home/node:/bin/bash' >>"$root/etc/passwd"
install -d -o 1000 -g 1000 "$root/home/node"

# unpack PACKAGE FOLDER: what a package of the npm registry holds.
unpack() {
  file=$(cd "$packages" && npm pack --silent "$1") || return 1
  mkdir -p "$2"
  tar -xzf "$packages/$file" -C "$2" --strip-components=1 --no-same-owner
}
if ! unpack "node-linux-$(node -p process.arch)@$major" "$root/opt/node"; then
  echo "base-image: no Node $major in the npm registry, the image gets this machine's $(node -v)"
  install -D "$(node -p process.execPath)" "$root/opt/node/bin/node"
fi
mv "$root/opt/node/bin/node" "$root/usr/local/bin/node"
rm -rf "$root/opt/node"
unpack "npm@$(npm --version)" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"

# As in the official image, a script of its own starts the command.
printf '#!/bin/sh\nexec "$@"\n' >"$root/usr/local/bin/docker-entrypoint.sh"
chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"
version=$(chroot "$root" /usr/local/bin/node -p process.versions.node)
$BUILDAH config --env "NODE_VERSION=$version" \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --entrypoint '["docker-entrypoint.sh"]' --cmd node "$container"
$BUILDAH commit --quiet --format docker "$container" "docker.io/library/$image" >/dev/null
echo "base-image: $image is Debian $suite with Node $version"
