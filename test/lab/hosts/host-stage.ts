/**
 * What runs before systemd in the namespaces of a host: it builds the file systems that a machine has, and becomes PID 1. A shell script, since nothing but the
 * machine's own programs may be in the way between the namespaces and `init`.
 */

/** Kernel settings that are not of a namespace: the host gets files of its own instead, so that writing them changes nothing on the machine. */
const privateSettings = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'vm/swappiness',
  'vm/max_map_count',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
  'kernel/pid_max',
  'fs/inotify/max_user_instances',
  'fs/inotify/max_user_watches',
  'fs/file-max',
];

/** Folders that must not lie on an overlay: containers' own overlays cannot be stacked on one. `data` is their name outside. */
export const realFolders = [
  { path: 'var/lib/containerd', data: 'containerd' },
  { path: 'var/lib/kubelet', data: 'kubelet' },
  { path: 'var/lib/etcd', data: 'etcd' },
  { path: 'var/log/pods', data: 'pods' },
] as const;

export interface Stage {
  /** Where the overlay is mounted. */
  root: string;
  /** Folder of the real folders. */
  data: string;
  name: string;
  bootId: string;
  /** Folders of the machine that the host sees, read-only: a medium that is plugged in. */
  media: readonly Medium[];
}

export interface Medium {
  /** Where the host sees it. */
  path: string;
  folder: string;
}

/** Quotes for sh. Paths come from temporary folders, but a user's TMPDIR may hold anything. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * The network is plugged in from outside, so the script waits for a line on its standard input before it becomes `init`.
 */
export const stageScript = ({ root, data, name, bootId, media }: Stage): string => `set -eu
R=${quote(root)}
mount --make-rprivate /
mount --bind "$R" "$R"
cp /proc/self/cgroup /tmp/.cgroup-${bootId}
mount -t proc proc "$R/proc"
mount --bind "$R/proc/sys" "$R/proc/sys"
mount -o remount,bind,ro "$R/proc/sys"
mount --bind "$R/proc/sys/net" "$R/proc/sys/net"
mount -o remount,bind,rw "$R/proc/sys/net"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
mkdir -p "$R/dev/pts" "$R/dev/shm"
for d in null zero full random urandom tty kmsg; do
  [ -e "/dev/$d" ] || continue
  touch "$R/dev/$d"
  mount --bind "/dev/$d" "$R/dev/$d"
done
ln -s /proc/self/fd "$R/dev/fd"
ln -s fd/0 "$R/dev/stdin"
ln -s fd/1 "$R/dev/stdout"
ln -s fd/2 "$R/dev/stderr"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs tmpfs "$R/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$R/run"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$R/sys/fs/cgroup"
  while IFS=: read -r id controllers rest; do
    [ "$id" != 0 ] || continue
    folder=\${controllers#name=}
    options=$controllers
    [ "$folder" = "$controllers" ] || options=none,$controllers
    mkdir -p "$R/sys/fs/cgroup/$folder"
    mount -t cgroup -o "$options" cgroup "$R/sys/fs/cgroup/$folder"
  done <"/tmp/.cgroup-${bootId}"
  # With the unified hierarchy beside it, systemd leaves empty slices out of its own old one, and the kubelet looks for its slices in all that there are.
  mkdir -p "$R/sys/fs/cgroup/systemd"
  mountpoint -q "$R/sys/fs/cgroup/systemd" || mount -t cgroup -o none,name=systemd cgroup "$R/sys/fs/cgroup/systemd"
fi
rm "/tmp/.cgroup-${bootId}"
${realFolders.map(({ path, data: folder }) => `mkdir -p "$R/${path}"\nmount --bind ${quote(`${data}/${folder}`)} "$R/${path}"`).join('\n')}
${media.map(({ path, folder }) => `mkdir -p "$R"${quote(path)}\nmount --bind -o ro ${quote(folder)} "$R"${quote(path)}`).join('\n')}
mkdir -p "$R/run/host-settings"
for setting in ${privateSettings.join(' ')}; do
  [ -e "/proc/sys/$setting" ] || continue
  file=$R/run/host-settings/$(echo "$setting" | tr / .)
  cat "/proc/sys/$setting" >"$file"
  mount --bind "$file" "$R/proc/sys/$setting"
done
echo ${bootId} >"$R/run/host-settings/boot_id"
mount --bind "$R/run/host-settings/boot_id" "$R/proc/sys/kernel/random/boot_id"
hostname ${quote(name)}
read -r go
exec </dev/null
cd "$R"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
mount --make-rshared /
exec env -i container=groundplane-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /sbin/init systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1
`;
