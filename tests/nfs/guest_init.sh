#!/bin/bash
# Process 1 of a guest of the NFS laboratory. Its root is the host's, read-only, so it runs what the host has.
# The kernel's command line says who it is (gatepost.name=, gatepost.address=) and where the packages are that
# the host does not have (gatepost.packages=). Then it does what comes on the first serial line: commands in
# base64, one a line; it answers with what each printed, and a line with the exit code.
echo init >/dev/console
export HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
    case $word in
    gatepost.name=*) name=${word#*=} ;;
    gatepost.address=*) address=${word#*=} ;;
    gatepost.packages=*) packages=${word#*=} ;;
    esac
done
export PATH=/run/bin:$packages/usr/sbin:$packages/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
libraries=$(echo "$packages"/usr/lib/*-linux-gnu "$packages"/lib/*-linux-gnu)
export LD_LIBRARY_PATH=${libraries// /:}
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/tmp /run/bin /run/modules/lib
for folder in "$packages" ""; do
    [ -e "$folder/usr/lib/uml/modules" ] && ln -sfn "$folder/usr/lib/uml/modules" /run/modules/lib/modules
    [ -e "$folder/bin/kmod" ] && ln -sf "$folder/bin/kmod" /run/bin/modprobe
done
export TMPDIR=/run/tmp
hostname "$name"
ip link set lo up
ip address add "$address/24" dev vec0
ip link set vec0 up
stty -F /dev/ttyS0 raw -echo
exec 3<>/dev/ttyS0
echo READY >&3
while read -r line <&3; do
    bash -c "$(base64 -d <<<"$line")" >/run/said 2>&1 </dev/null 3>&-
    code=$?
    { cat /run/said; printf '\n%s %d\n' '@@ended@@' $code; } >&3
done
