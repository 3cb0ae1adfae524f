#!/bin/sh
# Lets the data partition grow to the end of the disk. Online, and without effect when there is nothing to gain.
set -u
. /run/groundplane/disk
systemd-repart --dry-run=no --definitions=/usr/lib/groundplane/repart.d "$GROUNDPLANE_DISK" || echo 'groundplane: the partitions stay as they are' >&2
/usr/lib/systemd/systemd-growfs /var || echo 'groundplane: /var stays as large as it is' >&2
