#!/usr/bin/env bash
# Runs tests of crates/machine in a virtual machine whose cgroups are pure v2, with Debian's own kernel.
#
#   scripts/cgroup2.sh [FILTER...]      (limits, where none is said)
#
# The machine is emulated, so that it needs no /dev/kvm: half a minute until the first test. `make test-all` runs it;
# needs root, qemu-system-x86, mmdebstrap and e2fsprogs (scripts/install.sh --for long).
set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "$0")")/.."

target=$(readlink -f "${CARGO_TARGET_DIR:-target}")
room=$target/cgroup2
packages=linux-image-cloud-amd64,initramfs-tools,iproute2,nftables,procps,python3-minimal,kmod,udev,mount
within=600
mkdir -p "$room"
work=$(mktemp -d "$room/run.XXXXXX")
trap 'rm -rf "$work"' EXIT

if [ ! -s "$room/root-$packages.tar" ]; then
    mmdebstrap --quiet --variant=essential --mode=root --include="$packages" bookworm "$work/root.tar"
    mv "$work/root.tar" "$room/root-$packages.tar"
fi
mkdir "$work/root"
tar -xf "$room/root-$packages.tar" -C "$work/root"

# The tests, and the program whose path is written in them.
mapfile -t built < <(cargo test --locked --quiet --no-run -p lace-machine --test it --message-format=json |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4)
for file in "${built[@]}"; do
    install -D "$file" "$work/root$file"
    case $file in */it-*) tests=$file ;; esac
done
printf '%s\n' "$tests" >"$work/root/tests"
printf '%s\n' "${@:-limits}" >"$work/root/filter"
cat >"$work/root/first" <<'FIRST'
#!/bin/sh
# The first process: mounts what a host has, runs the tests, says how they ended, and turns the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin CI=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
modprobe -a veth overlay nf_tables
echo "kernel $(uname -r), controllers of cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers)"
xargs "$(cat /tests)" --test-threads=1 </filter
echo "the tests ended with $?"
echo o >/proc/sysrq-trigger
sleep 60
FIRST
chmod +x "$work/root/first"
mke2fs -q -t ext4 -d "$work/root" "$work/disk" 3G

timeout "$within" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot -nic none \
    -kernel "$(echo "$work"/root/boot/vmlinuz-*)" -initrd "$(echo "$work"/root/boot/initrd.img-*)" \
    -append 'root=/dev/vda rw console=ttyS0 quiet panic=-1 init=/first' \
    -drive "file=$work/disk,if=virtio,format=raw" </dev/null | tee "$work/said" | sed -n '/^kernel/,$p' | tr -d '\r'
grep -q 'the tests ended with 0' "$work/said"
