#!/bin/sh
# Installs the Debian packages that Reel is built and tested with: as root, or through sudo, or not at all
# where they are all there. With `ci`, also what .ci/run needs.
set -eu

packages="make gcc g++ libc6-dev pkg-config libblis-dev zlib1g-dev libutf8proc-dev check"
case "${1-}" in
"") ;;
ci)
    packages="$packages git chromium libopenmpi-dev openmpi-bin procps clang libclang-rt-dev clang-format clang-tidy doxygen groff-base libx11-dev locales python3-numpy python3-torch python3-venv valgrind"
    ;;
*)
    echo "usage: tools/debian_packages.sh [ci]" >&2
    exit 2
    ;;
esac

missing=
for package in $packages; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
    *" installed") ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "tools/debian_packages.sh: not root, and there is no sudo; as root do: apt-get install$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "tools/debian_packages.sh: no apt-get here; install what corresponds to:$missing" >&2
    exit 1
fi
$as_root apt-get update -q
# shellcheck disable=SC2086 # words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
