import { setTimeout as delay } from 'node:timers/promises';
import type { TestHost } from '../../lab/hosts/host.ts';

/** What the OS layer of the tests is about: Debian packages made on the host, a repository of them in a folder, and three versions of a profile. */
const repository = '/srv/repository';

/** Takes a moment to configure, so that a power cut falls into it now and then, as with real ones. */
const buildScript = `set -eu
build() { # NAME VERSION DEPENDS
  root=/srv/build/$1-$2
  mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/share/$1" "$root/lib/systemd/system" "$root/etc"
  printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: nobody <nobody@example.org>\\nDescription: a test\\n%s' "$1" "$2" "\${3:+Depends: $3
}" >"$root/DEBIAN/control"
  printf '#!/bin/sh\\nset -e\\nsleep 0.3\\n[ ! -d /run/systemd/system ] || systemctl daemon-reload\\n' >"$root/DEBIAN/postinst"
  printf '/etc/%s.conf\\n' "$1" >"$root/DEBIAN/conffiles"
  chmod 755 "$root/DEBIAN/postinst"
  echo "$2" >"$root/usr/share/$1/version"
  echo "from=package-$2" >"$root/etc/$1.conf"
  head -c 3000000 /dev/urandom >"$root/usr/share/$1/data"
  printf '#!/bin/sh\\nexec sleep 1000000\\n' >"$root/usr/bin/$1"
  chmod 755 "$root/usr/bin/$1"
  printf '[Unit]\\nDescription=%s\\n[Service]\\nExecStart=/usr/bin/%s\\n[Install]\\nWantedBy=multi-user.target\\n' "$1" "$1" >"$root/lib/systemd/system/$1.service"
  dpkg-deb --root-owner-group -Zgzip -z1 --build "$root" ${repository} >/dev/null
}
mkdir -p ${repository}
build site-base 1.0
build site-base 2.0
build site-tool 1.0 'site-base (>= 1.0)'
build site-tool 2.0 'site-base (>= 2.0)'
cd ${repository}
for file in *.deb; do
  dpkg-deb --field "$file"
  printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
done >Packages
echo 'deb [trusted=yes] file:${repository} ./' >/etc/apt/sources.list.d/site.list
apt-get -qq update
rm -r /srv/build
`;

export const makeRepository = async (host: TestHost): Promise<void> => {
  await host.run(['bash', '-c', buildScript], { timeoutMs: 120_000 });
};

export const versions = ['1.0.0', '2.0.0', '3.0.0'] as const;
export type SiteVersion = (typeof versions)[number];

const sshKey = (version: SiteVersion): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOperatorKeyOfTheTestsVersion${version.slice(0, 1)} operator@example.org`;

/** Version 3 is broken: its own unit cannot start. */
export const siteProfile = (version: SiteVersion): string => {
  const major = version.slice(0, 1);
  const tool = major === '3' ? '2.0' : `${major}.0`;
  return `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: site-os, version: ${version}}
spec:
  type: infrastructure
  layers:
    - name: base
      kind: os
      readiness: {timeoutSeconds: 5}
      os:
        packages:
          - {name: site-tool, version: "${tool}"}
          - {name: site-base, version: "${tool}"}
        users:
          - {name: operator, groups: [adm], sshKeys: ["${sshKey(version)}"]}
        files:
          - {path: /etc/site/site.conf, mode: "0640", owner: root, group: adm, content: "version=${version}\\n"}
          - {path: /etc/site/only-${major}.conf, content: "only in ${major}\\n"}
        sysctls:
          net.ipv4.ip_local_reserved_ports: 768${major}-7689
          vm.swappiness: ${major}0
        units:
          - name: site-tool.service
            dropIns: [{name: 10-site.conf, content: "[Service]\\nEnvironment=SITE=${version}\\n"}]
          - name: site-job.service
            content: |
              [Unit]
              Description=job ${version}
              [Service]
              Type=${major === '3' ? 'oneshot' : 'simple'}
              ExecStart=${major === '3' ? '/bin/false' : `/bin/sleep ${major}00000`}
              [Install]
              WantedBy=multi-user.target
`;
};

const looks: readonly (readonly [name: string, command: string])[] = [
  ['packages', `dpkg-query --show --showformat='\${Package} \${Version} \${db:Status-Want} \${db:Status-Status};' site-base site-tool`],
  ['audit', 'dpkg --audit'],
  ['tool', 'systemctl is-active site-tool; systemctl is-enabled site-tool; systemctl show --property Environment --value site-tool'],
  ['job', 'systemctl is-active site-job; systemctl is-enabled site-job; systemctl show --property Description --value site-job'],
  ['file', 'cat /etc/site/site.conf; stat --format "%a %U %G" /etc/site/site.conf; ls /etc/site'],
  ['sysctl', 'sysctl --values net.ipv4.ip_local_reserved_ports vm.swappiness'],
  [
    'user',
    'id --name --groups operator; getent passwd operator | cut -d: -f7; cat /home/operator/.ssh/authorized_keys; stat --format "%a %U" /home/operator/.ssh/authorized_keys',
  ],
  ['reload', 'systemctl show --property NeedDaemonReload --value site-tool site-job'],
];

export const looksOf = async (host: TestHost): Promise<Record<string, string>> => {
  const script = looks.map(([name, command]) => `echo '== ${name}'; { ${command}; } 2>&1`).join('\n');
  const said = await host.exec(['sh', '-c', script]);
  return Object.fromEntries(
    said.stdout
      .split('== ')
      .slice(1)
      .map((part) => [
        part.slice(0, part.indexOf('\n')),
        part
          .slice(part.indexOf('\n') + 1)
          .trim()
          .replaceAll('\n', ' | '),
      ]),
  );
};

/** As before, but for what Debian keeps on purpose: that somebody had the packages and their configuration; and a folder that may be somebody's. */
export const removedLooks = (before: Readonly<Record<string, string>>, version: SiteVersion): Record<string, string> => ({
  ...before,
  packages: ['base', 'tool'].map((name) => `site-${name} ${version.slice(0, 3)} deinstall config-files;`).join(''),
  file: (before['file'] ?? '').split(' | ').slice(0, 2).join(' | '),
});

/** What a person sees on the host when this version is there and nothing of the others is left. */
export const expectedLooks = (version: '1.0.0' | '2.0.0'): Record<string, string> => {
  const major = version.slice(0, 1);
  return {
    packages: `site-base ${major}.0 hold installed;site-tool ${major}.0 hold installed;`,
    audit: '',
    tool: `active | enabled | SITE=${version}`,
    job: `active | enabled | job ${version}`,
    file: `version=${version} | 640 root adm | only-${major}.conf | site.conf`,
    sysctl: `768${major}-7689 | ${major}0`,
    user: `operator adm | /bin/bash | ${sshKey(version)} | 600 operator`,
    reload: 'no |  | no',
  };
};

/** Waits until the host looks as wished. A look starts twenty programs, so it is not taken too often. */
export const waitLooks = async (what: string, host: TestHost, wanted: Readonly<Record<string, string>>, timeoutMs: number): Promise<void> => {
  for (const end = performance.now() + timeoutMs; ; await delay(1_000)) {
    const wrong = differences(await looksOf(host), wanted);
    if (wrong === undefined) return;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s: ${wrong}`);
  }
};

/** Undefined when it is as expected, otherwise the differences. */
export const differences = (seen: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): string | undefined => {
  const wrong = Object.entries(wanted).filter(([name, text]) => seen[name] !== text);
  return wrong.length === 0 ? undefined : wrong.map(([name, text]) => `${name} is "${seen[name] ?? ''}", not "${text}"`).join('; ');
};
