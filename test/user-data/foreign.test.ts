import { describe, expect, test } from 'vitest';
import { findingText } from '@groundplane/protocol/finding';
import { readUserData } from '@groundplane/protocol/user-data/read';
import { errors, good, told } from './reading.ts';

/** Files of Palette, Kairos and cloud-init as people have them, and the traps in them. */
describe('user data of others, in detail', () => {
  test('a key that nobody has filled in is a key that is not there', () => {
    const text = `stylus:
  site:
    name: ""
    hostName: ""
    ntpServers: ""
    caCerts:
    network: {httpProxy: "", httpsProxy: "", noProxy: "", nameserver: "", interfaces: {eth0: {type: static, ipAddress: 10.0.0.5, mask: 24, gateway: "", nameserver: ""}, eth1: }}
install: {device: ""}
timezone: ""
`;
    expect(good(text)).toMatchObject({ network: { interfaces: { eth0: { addresses: ['10.0.0.5/24'] }, eth1: { dhcp: true } } } });
    expect(told(text)).toEqual([]);
  });

  test.each([
    ['24', '10.0.0.5/24'],
    ['/22', '10.0.0.5/22'],
    ['255.255.0.0', '10.0.0.5/16'],
    ['255.255.255.255', '10.0.0.5/32'],
  ])('a mask %s is a prefix', (mask, address) => {
    const text = `stylus: {site: {network: {interfaces: {eth0: {type: STATIC, ipAddress: 10.0.0.5, mask: "${mask}"}}}}}`;
    expect(good(text).network?.interfaces['eth0']?.addresses).toEqual([address]);
  });

  test.each([
    ['{type: static, ipAddress: 10.0.0.5, mask: 255.0.255.0}', 'eth0.mask: is no mask'],
    ['{ipAddress: 10.0.0.5/24}', 'eth0.ipAddress is not used: the type of this interface is not static'],
    ['{type: dhcp, vlan: 5}', 'eth0.vlan is not known here'],
    ['{type: manual}', 'eth0: type is dhcp or static'],
    ['fast', 'eth0 is no map'],
  ])('an interface %s is told about', (item, expected) => {
    expect(told(`stylus: {site: {network: {interfaces: {eth0: ${item}}}}}`).join('\n')).toContain(expected);
  });

  test('the name of a host is its host name as well, unless it has one', () => {
    expect(good('stylus: {site: {name: edge-7}}')).toMatchObject({ name: 'edge-7', hostname: 'edge-7' });
    expect(good('stylus: {site: {name: edge-7, hostName: box}}')).toMatchObject({ name: 'edge-7', hostname: 'box' });
    expect(good('stylus: {site: {hostName: box, name: edge-7}}')).toMatchObject({ name: 'edge-7', hostname: 'box' });
    expect(good('stylus: {site: {name: $random}}').name).toBeUndefined();
    expect(told('stylus: {site: {name: $random}}').join()).toContain('name is not used: the host is known in the hub by its host name');
  });

  test('an account is read whole: nothing of it is left out in silence', () => {
    const text = `users:
  - {name: ops, sudo: "ALL=(ALL) NOPASSWD:ALL", uid: 1234, groups: [no, adm], ssh_authorized_keys: ["github:somebody", "ssh-ed25519 AAAA"], gecos: Ops}
  - {name: late, passwd: $6$a$b, lock_passwd: true, sudo: false, passwordExpiry: 2032-09-01}
`;
    expect(good(text).users).toMatchObject([{ name: 'ops', groups: ['adm'], sshKeys: ['ssh-ed25519 AAAA'] }, { name: 'late' }]);
    expect(good(text).users[1]?.passwordHash).toBeUndefined();
    expect(told(text).map((line) => line.replace(/^user-data:(\d+):\d+: warning: (\S+) .*/, '$1 $2'))).toEqual([
      '2 users.0.sudo',
      '2 users.0.uid',
      '2 users.0.groups:',
      '2 users.0.ssh_authorized_keys:',
      '3 users.1.passwordExpiry',
    ]);
  });

  test('what several stages say of one account, file or registry is one', () => {
    const text = `stages:
  initramfs:
    - users: {kairos: {groups: [sudo], shell: /bin/sh, ssh_authorized_keys: [a]}}
    - files: [{path: /etc/x, content: old}]
  boot:
    - users: {kairos: {groups: [docker], ssh_authorized_keys: [a, b]}}
      authorized_keys: {kairos: [c], root: [d]}
      files: [{path: /etc/x, content: new}]
stylus: {externalRegistries: {registryMappingRules: {docker.io: a.example, "docker.io/library": "b.example/library"}}}
`;
    const config = good(text);
    expect(config.users).toMatchObject([
      { name: 'kairos', groups: ['sudo', 'docker'], shell: '/bin/sh', sshKeys: ['a', 'b', 'c'] },
      { name: 'root', sshKeys: ['d'] },
    ]);
    expect(config.files).toMatchObject([{ path: '/etc/x', content: 'new' }]);
    expect(config.registryMirrors).toMatchObject([{ registry: 'docker.io', endpoints: ['https://a.example', 'https://b.example'] }]);
  });

  test.each([
    ['docker.io', 'harbor.example/dockerhub', 'https://harbor.example/v2/dockerhub'],
    ['gcr.io/a/b', 'http://harbor.example/x/a/b/', 'http://harbor.example/v2/x'],
    ['gcr.io/a', 'harbor.example:5000/a', 'https://harbor.example:5000'],
  ])('a rule %s to %s is a mirror at %s', (from, to, endpoint) => {
    expect(good(`stylus: {externalRegistries: {registryMappingRules: {"${from}": "${to}"}}}`).registryMirrors[0]?.endpoints).toEqual([endpoint]);
  });

  test.each([
    ['{path: /etc/x, content: aGVsbG8K, encoding: b64}', { content: 'hello\n' }],
    ['{path: /etc/x, content: h, permissions: 420}', { mode: '0644' }],
    ['{path: /etc/x, content: h, permissions: 0600}', { mode: '0600' }],
    ['{path: /etc/x, content: h, permissions: 644}', { mode: '0644' }],
    ['{path: /etc/x, content: h, owner: 0, group: 0, ownerstring: "ops:adm"}', { owner: 'ops', group: 'adm' }],
    ['{path: /etc/x, content: 7}', { content: '7' }],
  ])('a file %s', (item, expected) => {
    expect(good(`write_files: [${item}]`).files).toMatchObject([expected]);
    expect(told(`write_files: [${item}]`)).toEqual([]);
  });

  test.each([
    ['{path: /etc/x, content: gAA=, encoding: b64}', 'is written as b64; only text is taken'],
    ['{path: /etc/x, content: H4sI, encoding: gz+b64}', 'is written as gz+b64'],
    ['{path: /etc/hosts, content: h, append: true}', 'would be appended to'],
    ['{path: /etc/x, source: {uri: https://x}}', 'would be fetched from elsewhere'],
    ['{path: /etc/x, content: yes}', 'has a content that is no text'],
  ])('a file %s is not written, and that is told', (item, expected) => {
    expect(good(`write_files: [${item}]`).files).toEqual([]);
    expect(told(`write_files: [${item}]`).join()).toContain(expected);
  });

  test.each([
    ['{path: /etc/x, content: h, owner: "1000"}', 'numbers of accounts differ'],
    ['{path: /etc/x, content: h, other: 1}', 'write_files.0.other is not known'],
    ['{path: /etc/netplan/99.yaml, content: h}', 'have no netplan, so nothing reads this file'],
  ])('a file %s is written, and something is told', (item, expected) => {
    expect(good(`write_files: [${item}]`).files).toHaveLength(1);
    expect(told(`write_files: [${item}]`).join()).toContain(expected);
  });

  test('cloud-init has more names for the same, and more of it', () => {
    const text = 'ntp: {enabled: true, pools: [p.example], servers: [s.example]}\nca-certs: {remove-defaults: true, trusted: []}\n';
    expect(good(text).ntp).toEqual(['p.example', 's.example']);
    expect(told(text).join()).toContain('ca-certs.remove-defaults is not used');
  });

  test('settings of the kernel are texts and numbers', () => {
    const text = 'stages: {boot: [{sysctl: {net.ipv4.ip_forward: yes, vm.swappiness: 10, vm.x: [1], "fs.y": "a b"}}]}';
    expect(good(text).sysctls).toEqual({ 'net.ipv4.ip_forward': 1, 'vm.swappiness': 10, 'fs.y': 'a b' });
    expect(told(text).join()).toContain('vm.x is neither a text nor a number');
  });

  test('names that differ in upper and lower case only are the same', () => {
    expect(told('stylus: {LocalUI: {port: 1}, site: {registrationUrl: x}}').join()).toMatch(/LocalUI is not used.*registrationUrl is not used/);
  });

  test.each([
    'stages: 5',
    'stylus: {site: {network: {interfaces: [a]}}}',
    'stylus: {externalRegistries: {registryMappingRules: [a]}}',
    'stages: {boot: [{sysctl: 5}]}',
  ])('something of another shape is told: %s', (text) => {
    expect(told(text).join()).toContain('it is not used');
  });

  test('a certificate may come as base64 of its PEM or without its frame', () => {
    const body = `MII${'A'.repeat(97)}`;
    const pem = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const wrapped = Buffer.from(pem).toString('base64');
    const config = good(`stylus: {site: {caCerts: ["${wrapped}", "${body}"]}}`);
    expect(config.caCertificates[0]).toBe(pem);
    expect(config.caCertificates[1]).toMatch(/^-----BEGIN CERTIFICATE-----\nMII[A\n]+\n-----END CERTIFICATE-----\n$/);
    for (const broken of ['-----BEGIN CERTIFICATE-----\\n\\n-----END CERTIFICATE-----', '------BEGIN CERTIFICATE------\\n***\\n------END CERTIFICATE------'])
      expect(errors(`stylus: {site: {caCerts: ["${broken}"]}}`).join()).toContain('stylus.site.caCerts.0: must be a certificate in PEM');
  });

  test('an error names the key that is wrong, where it stands, and what wins over it', () => {
    expect(errors('users:\n  - name: Bad Name\n')).toEqual(['user-data:2:5: error: users.0.name: is no user or group name (user-data-invalid)']);
    expect(errors('stylus:\n  site:\n    network:\n      interfaces:\n        eth0: {type: static, ipAddress: 10.0.0.5}\n').join()).toContain(
      'user-data:5:9: error: stylus.site.network.interfaces.eth0.addresses.0: must be an address with its prefix',
    );
    expect(errors('stylus: {site: {name: Not_A.Name}}').join()).toContain('digit; or write groundplane.name, which wins');
    expect(good('groundplane: {name: mine}\nstylus: {site: {name: Not_A.Name}}').name).toBe('mine');
  });

  test('many aliases are read in a moment', () => {
    const aliases = Array.from({ length: 20_000 }, () => '*a').join(', ');
    expect(readUserData(`x: &a 1\ny: [${aliases}]\nz: *b\n`).findings.map(findingText).join()).toContain('*b is read as an alias');
  });

  test("every key of Palette's reference is known: taken, or with a reason of its own", () => {
    const text = `install:
  bind_mounts: [/a]
  extra-dirs-rootfs: [/b]
  grub_options: {extra_cmdline: x}
  partitions: {persistent: {size: 1, fs: ext4}}
  extra-partitions: [{name: a, size: 1, fs: ext4, label: A}]
  poweroff: true
  reboot: false
stylus:
  debug: true
  trace: true
  path: /
  managementMode: central
  installationMode: connected
  enableMultiNode: true
  featureGate: A,B
  disablePasswordUpdate: true
  disableTui: true
  includeTui: true
  imageOverride: x
  localUI: {port: 5080, login: {disableRateLimiting: false}}
  emcServer: {port: 5080}
  vip: {skip: true}
  skipKubeVip: true
  imageRedirectWebhook: {enable: true, port: 0}
  registryCredentials: {domain: a, username: b, password: hidden, encodedPassword: false, insecure: false}
  externalRegistries:
    registries: [{domain: a, username: b, password: hidden, repositoryName: c, certificates: [], insecure: false}]
    registryMappingRules: {docker.io: mirror.example}
  site:
    paletteEndpoint: a
    edgeHostToken: hidden
    disableAutoRegister: true
    name: edge-1
    hostName: box
    prefix: edge
    projectName: a
    projectUid: a
    registrationURL: a
    clusterId: a
    clusterName: a
    insecureSkipVerify: false
    caCerts: []
    ntpServers: [a.example]
    deviceUIDPaths: [{name: a, regex: b}]
    tags: {a: b}
    tagsFromFile: {fileName: a, delimiter: b, separator: c}
    tagsFromScript: {scriptName: a, timeout: 1}
    remoteShell: {disable: true}
    users: [{name: ops, groups: [a], passwd: $6$a$b, passwordExpiry: "2032-01-01", lock_passwd: false, ssh_authorized_keys: [k]}]
    network: {httpProxy: "http://p:1", httpsProxy: "http://p:1", noProxy: a, nameserver: 1.1.1.1, interfaces: {eth0: {type: static, ipAddress: 10.0.0.2, mask: 255.255.255.0, gateway: 10.0.0.1, nameserver: 1.1.1.1}}}
stages: {${['rootfs', 'initramfs', 'boot', 'fs', 'network', 'reconcile']
      .flatMap((name) => [name, `${name}.before`, `${name}.after`])
      .map((name) => `${name}: []`)
      .join(', ')}}
`;
    good(text);
    expect(told(text).filter((line) => /user-data-(unknown|shape)/.test(line))).toEqual([]);
    expect(told(text).join()).not.toContain('hidden');
  });
});
