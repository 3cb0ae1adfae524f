import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { userDataLimits } from '@groundplane/protocol/user-data/limits';
import { readUserData } from '@groundplane/protocol/user-data/read';
import { errors, good, told } from './reading.ts';

const own = `#cloud-config
groundplane:
  ticket: gpt1.abcDEF_-
  name: shop-17
  hostname: shop-17.example.org
  timezone: Europe/Berlin
  ntp: [0.pool.ntp.org, 10.0.0.5]
  users:
    - name: ops
      groups: [sudo]
      sshKeys: [ssh-ed25519 AAAA ops]
  network:
    interfaces:
      eth0: {addresses: [10.0.0.17/24], gateway: 10.0.0.1, dns: [10.0.0.53]}
      eth1: {dhcp: true}
    proxy: {http: "http://proxy:3128", except: [10.0.0.0/8, .example.org]}
  registryMirrors:
    - {registry: registry.k8s.io, endpoints: ["https://mirror.example.org/k8s"]}
  files:
    - {path: /etc/motd, content: hello, mode: "0644"}
  sysctls: {vm.swappiness: 10}
  install: {device: auto, end: poweroff}
`;

/** As Palette's installer has it, shortened: what has a meaning here, what has none, and what people get wrong there. */
const palette = `#cloud-config
install:
  poweroff: true
  bind_mounts:
    - /var/lib/x
stages:
  initramfs:
    - name: Set users
      users:
        kairos:
          groups: [sudo, docker]
          passwd: kairos
          ssh_authorized_keys: [ssh-rsa AAAA k]
      sysctl: {fs.inotify.max_user_watches: "8192"}
  boot:
    - name: "Run script"
      commands: [echo hi]
      files:
        - {path: /etc/app.conf, permissions: 0600, owner: "0", group: "0", content: "a: b"}
        - {path: /usr/bin/x, content: y}
  before-install:
    - commands: [echo no]
stylus:
  debug: true
  managementMode: local
  vip: {skip: true}
  externalRegistries:
    registryMappingRules:
      "us-docker.pkg.dev/palette": "harbor.example.org/mirror/palette"
      "gcr.io/images": "harbor.example.org/other"
  site:
    paletteEndpoint: api.example.org
    edgeHostToken: secret
    name: edge-7
    tags: {city: x}
    caCerts:
      - |
        -----BEGIN CERTIFICATE-----
        MIIB
        -----END CERTIFICATE-----
    network:
      httpProxy: http://proxy:3128
      noProxy: 10.0.0.0/8,.local
      nameserver: 1.1.1.1
      interfaces:
        enp0s3: {type: static, ipAddress: 10.0.10.25, mask: 255.255.254.0, gateway: 10.0.10.1, nameserver: 10.0.10.53}
        enp0s4: {type: dhcp}
    users:
      - {name: admin, passwd: $6$abc$def, ssh_authorized_keys: [ssh-ed25519 AAAA a]}
    made-up: 1
`;

describe('own user data', () => {
  test('are read whole, with defaults', () => {
    expect(good(own)).toMatchObject({
      name: 'shop-17',
      network: { interfaces: { eth0: { addresses: ['10.0.0.17/24'] }, eth1: { dhcp: true } } },
      install: { device: 'auto', end: 'poweroff' },
      users: [{ shell: '/bin/bash' }],
      files: [{ owner: 'root', mode: '0644' }],
    });
    expect(told(own)).toEqual([]);
  });

  test('nothing at all is nothing to do', () => {
    for (const text of ['', '#cloud-config\n', 'groundplane:\n', 'groundplane: {}\n', '\uFEFFgroundplane: {}\n'])
      expect(good(text)).toMatchObject({ users: [], files: [] });
  });

  test.each([
    ['groundplane:\n  hostname: "-x"\n', 'user-data:2:3: error: groundplane.hostname'],
    ['groundplane:\n  nmae: x\n', 'user-data:2:3: error: groundplane.nmae: there is no field "nmae"; known fields: ticket, name'],
    ['groundplane:\n  network:\n    interfaces:\n      eth0: {gateway: 10.0.0.1}\n', 'user-data:4:7: error: groundplane.network.interfaces.eth0: has neither'],
    ['groundplane:\n  files:\n    - {path: /usr/bin/x, content: y}\n', 'user-data:3:8: error: groundplane.files.0.path: must lie below /etc or /var'],
    ['groundplane:\n  files:\n    - {path: /etc/../usr/x, content: y}\n', 'must not contain . or ..'],
    ['groundplane:\n  ticket: nonsense\n', 'must begin with gpt1.'],
    ['groundplane:\n  install: {device: /etc/passwd}\n', 'must be a device'],
    ['groundplane:\n  install: {device: /dev/../etc/passwd}\n', 'must be a device'],
    ['groundplane:\n  users: [{name: root; rm}]\n', 'is no user or group name'],
    ['groundplane:\n  timezone: ../../etc/shadow\n', 'is no time zone'],
    ['groundplane:\n  timezone: Europe/Berln\n', 'is no time zone that is known'],
    ['groundplane:\n  timezone: europe/berlin\n', 'with its capitals'],
    ['groundplane: 5\n', 'groundplane must be a map'],
    ['- a\n- b\n', 'user-data:1:1: error: is no map'],
    ['groundplane:\n\tname: x\n', 'user-data:2:1: error: a tab indents this line'],
    ['stylus:\n  site:\n    name: Not A Name\n', 'user-data:3:5: error: stylus.site.name:'],
    ['stylus:\n  site:\n    name: no\n', 'user-data:3:5: error: stylus.site.name: expected string, received boolean. YAML reads yes, no,'],
    ['a: b\n---\nc: d\n', 'user-data:2:1: error: a second document begins here (---)'],
    ['a: &x b\nusers: [{name: a, passwd: ******}]\n', 'user-data:2:27: error: ****** is read as an alias'],
    ['#!/bin/sh\necho\n', 'user-data:1:1: error: is a script'],
    ['Content-Type: multipart/mixed\n\nx', 'is a message of several parts'],
    ['## template: jinja\n#cloud-config\n', 'is a template'],
    ['\uFFFD\uFFFD#\0c\0', 'is no text in UTF-8'],
  ])('a mistake is told at its line: %s', (text, expected) => {
    expect(errors(text).join('\n')).toContain(expected);
    expect(readUserData(text).config).toBeUndefined();
  });

  test.each(['UTC', 'Etc/UTC', 'Asia/Calcutta', 'Europe/Kyiv', 'America/Argentina/Ushuaia', 'Etc/GMT+5'])('time zone %s', (zone) => {
    expect(good(`groundplane: {timezone: ${zone}}`).timezone).toBe(zone);
  });

  test('a key cannot steer the console that names it', () => {
    const said = told('"\\e[2Jx\\u202e": 1\n').join();
    expect(said).toContain('\\u001b[2Jx\\u202e is not known here');
    for (const char of ['\u001b', '\u202e']) expect(said).not.toContain(char);
  });

  test('text is bounded', () => {
    const text = (size: number): string => `#${'x'.repeat(size - 1)}`;
    expect(readUserData(text(userDataLimits.textBytes)).config).toBeDefined();
    expect(errors(text(userDataLimits.textBytes + 1))).toEqual([`user-data: error: has more than ${userDataLimits.textBytes} characters (user-data-large)`]);
  });

  test('a list at its bound is taken, one more is not', () => {
    const users = (count: number): string => `groundplane:\n  users:\n${Array.from({ length: count }, (_, index) => `    - {name: u${index}}\n`).join('')}`;
    expect(good(users(userDataLimits.users)).users).toHaveLength(userDataLimits.users);
    expect(errors(users(userDataLimits.users + 1))).toHaveLength(1);
  });
});

describe("Palette's and cloud-init's user data", () => {
  test('what has a meaning here is taken', () => {
    const config = good(palette);
    expect(config).toMatchObject({
      name: 'edge-7',
      network: {
        dns: ['1.1.1.1'],
        proxy: { http: 'http://proxy:3128', except: ['10.0.0.0/8', '.local'] },
        interfaces: { enp0s3: { addresses: ['10.0.10.25/23'], gateway: '10.0.10.1', dns: ['10.0.10.53'] }, enp0s4: { dhcp: true } },
      },
      registryMirrors: [{ registry: 'us-docker.pkg.dev', endpoints: ['https://harbor.example.org/v2/mirror'] }],
      sysctls: { 'fs.inotify.max_user_watches': '8192' },
    });
    expect(config.users.map(({ name, groups, passwordHash }) => ({ name, groups, passwordHash }))).toEqual([
      { name: 'kairos', groups: ['sudo', 'docker'], passwordHash: undefined },
      { name: 'admin', groups: [], passwordHash: '$6$abc$def' },
    ]);
    expect(config.files).toEqual([{ path: '/etc/app.conf', content: 'a: b', mode: '0600', owner: 'root', group: 'root' }]);
    expect(config.caCertificates).toHaveLength(1);
    // An end of an installation without a disk is no installation.
    expect(config.install).toBeUndefined();
  });

  test('what has none is named, each at its line, and no secret is repeated', () => {
    const text = told(palette).join('\n');
    for (const expected of [
      'install.bind_mounts is not used',
      'a password in plain text is not taken',
      'stages.boot.0.commands is not used',
      '/usr/bin/x lies outside of /etc and /var',
      'stages.before-install is not used',
      'stylus.debug is not used',
      'stylus.vip is not used',
      'stylus.site.paletteEndpoint is not used: the ticket says where the hub is',
      'stylus.site.edgeHostToken is not used',
      'stylus.site.made-up is not known here',
      'a mirror is for a whole registry; all images of us-docker.pkg.dev are looked for at https://harbor.example.org/v2/mirror first',
      'registryMappingRules.gcr.io/images is not used: a mirror keeps the path of an image, so harbor.example.org/other would have to end with /images',
    ])
      expect(text).toContain(expected);
    expect(text).not.toContain('secret');
    expect(/:(\d+):\d+: warning: stylus.site.made-up/.exec(text)?.[1]).toBe(String(palette.split('\n').findIndex((line) => line.includes('made-up')) + 1));
  });

  test('ours wins where both say something', () => {
    expect(good('groundplane:\n  name: mine\nstylus:\n  site:\n    name: theirs\n').name).toBe('mine');
    expect(
      good('groundplane:\n  users: [{name: ops, shell: /bin/sh}]\nusers:\n  - {name: ops}\n  - {name: other}\n').users.map((user) => [user.name, user.shell]),
    ).toEqual([
      ['ops', '/bin/sh'],
      ['other', '/bin/bash'],
    ]);
  });

  test('cloud-init: users, files, ntp, certificates, and what is not run', () => {
    const text =
      'hostname: box\nusers:\n  - default\n  - {name: a, groups: "x, y", ssh_authorized_keys: [k]}\nwrite_files:\n  - {path: /etc/x, content: gAA=, encoding: b64}\n  - {path: /var/y, content: z, owner: "a:b", permissions: "0640"}\nntp: {servers: [ntp.example.org]}\nruncmd: [reboot]\n';
    expect(good(text)).toMatchObject({
      hostname: 'box',
      ntp: ['ntp.example.org'],
      users: [{ name: 'a', groups: ['x', 'y'] }],
      files: [{ path: '/var/y', owner: 'a', group: 'b' }],
    });
    expect(told(text).join('\n')).toMatch(/\/etc\/x is written as b64[\s\S]*runcmd is not used/);
  });

  test('whatever somebody writes: no exception, and a configuration or an error', () => {
    const keys = fc.constantFrom(
      'groundplane',
      'stylus',
      'site',
      'network',
      'interfaces',
      'users',
      'files',
      'stages',
      'install',
      'boot',
      'name',
      'sysctl',
      'write_files',
      '__proto__',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(fc.dictionary(keys, value, { maxKeys: 4 }), (document) => {
        const read = readUserData(JSON.stringify(document));
        return read.config !== undefined || read.findings.some((finding) => finding.severity === 'error');
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.string(), (text) => readUserData(text).findings.every((finding) => finding.message !== '')));
  });
});
