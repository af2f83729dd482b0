#!/bin/sh
# Run a command inside a chroot; started by `unshare -m`, so that every mount is gone when the command ends.
#   enter.sh ROOT FOLDER [FOLDER ...] -- COMMAND [ARGUMENT ...]
# Each FOLDER is seen inside at the path it has outside.
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
