import { z } from 'zod';
import { nameSchema } from '../ids.ts';
import { absolutePath } from '../os-spec.ts';
import { userDataLimits } from './limits.ts';

/**
 * What one device is told at its first boot, under the key `groundplane`. It is for what a host needs before it can reach its hub; everything else belongs into
 * a profile, where it is versioned, rolled out and healed.
 */
const ipv4 = z.ipv4({ error: 'is no IPv4 address' });
const ipv6 = z.ipv6({ error: 'is no IPv6 address' });
const address = z.union([ipv4, ipv6], { error: 'must be an IP address like 10.0.0.1' });
const cidr = z.union([z.cidrv4(), z.cidrv6()], { error: 'must be an address with its prefix, like 10.0.0.17/24' });
const server = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9:][A-Za-z0-9.:-]*$/, 'must be the name or address of a server');
const hostname = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/, 'is no host name');
const accountName = z.string().regex(/^[a-z_][-a-z0-9_]{0,31}$/, 'is no user or group name');
/** Zones are files, so their capitals count, which they do not for what knows them here. Older names (Asia/Calcutta) answer to a newer one. */
const isTimeZone = (zone: string): boolean => {
  try {
    const known = new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
    return known === zone || known.toLowerCase() !== zone.toLowerCase();
  } catch {
    return false;
  }
};
const oneLine = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\n\r\0]*$/, 'must be one line');
const proxyUrl = z
  .string()
  .max(1024)
  .regex(/^https?:\/\/[^\s"'\\]+$/, 'must begin with http:// or https://');
const interfaceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/, 'is no name of a network interface, like eth0');

const interfaceSchema = z
  .strictObject({
    dhcp: z.boolean().optional(),
    addresses: z.array(cidr).max(16).default([]),
    gateway: address.optional(),
    dns: z.array(address).max(8).default([]),
    mtu: z.int().min(576).max(65_536).optional(),
  })
  .refine((item) => item.dhcp === true || item.addresses.length > 0, 'has neither dhcp: true nor addresses, so it would have no address')
  .refine((item) => item.gateway === undefined || item.addresses.length > 0, 'has a gateway and no addresses');

const networkSchema = z.strictObject({
  interfaces: z
    .record(interfaceName, interfaceSchema)
    .refine((map) => Object.keys(map).length <= userDataLimits.interfaces, `names more than ${userDataLimits.interfaces} interfaces`)
    .default({}),
  dns: z.array(address).max(8).default([]),
  proxy: z
    .strictObject({
      http: proxyUrl.optional(),
      https: proxyUrl.optional(),
      /** Not `no`: YAML reads that as false. */ except: z.array(oneLine(253)).max(100).default([]),
    })
    .optional(),
});

export const userDataUserSchema = z.strictObject({
  name: accountName,
  groups: z.array(accountName).max(50).default([]),
  shell: absolutePath.default('/bin/bash'),
  sshKeys: z.array(oneLine(16_384)).max(100).default([]),
  /** As in /etc/shadow: `$y$…`, `$6$…`. Absent: nobody comes in by password. */
  passwordHash: z
    .string()
    .max(512)
    .regex(/^\$[0-9a-z]+\$[^\s:]+$/, 'must be a hash as in /etc/shadow; make one: openssl passwd -6')
    .optional(),
});

/** Only what belongs to the machine's own settings: the rest of the system is the image's. */
const filePath = absolutePath.refine((path) => /^\/(etc|var)\//.test(path), 'must lie below /etc or /var; everything else is part of the image');

const mirrorSchema = z.strictObject({
  /** As pods name it: `registry.k8s.io`, `docker.io`, `*` for all. */
  registry: z
    .string()
    .max(253)
    .regex(/^(\*|[A-Za-z0-9][A-Za-z0-9.:-]*)$/, 'is no name of a registry'),
  endpoints: z
    .array(
      z
        .string()
        .max(1024)
        .regex(/^https?:\/\/[^\s"'\\]+$/, 'must begin with http:// or https://'),
    )
    .min(1)
    .max(8),
  skipVerify: z.boolean().default(false),
});

const deviceSchema = z
  .string()
  .max(255)
  .regex(/^(auto|\/dev\/(?!.*\.\.)[A-Za-z0-9_./:-]+)$/, 'must be a device like /dev/nvme0n1, or auto for the only disk besides the one that it starts from');

export const userDataSchema = z.strictObject({
  /** The enrolment ticket, as `gp ticket create` prints it. Its file may lie beside the user data instead. */
  ticket: z
    .string()
    .max(32_768)
    .regex(/^gpt1\.[A-Za-z0-9_-]+$/, 'must begin with gpt1.; copy it again from: gp ticket create')
    .optional(),
  /** Name of the host in the hub. */
  name: nameSchema.optional(),
  carrier: z.enum(['ws', 'mqtt']).optional(),
  hostname: hostname.optional(),
  timezone: z
    .string()
    .max(64)
    .regex(/^[A-Za-z][A-Za-z0-9_+/-]*$/, 'is no time zone like Europe/Berlin')
    .refine(isTimeZone, 'is no time zone that is known; write it like Europe/Berlin, with its capitals')
    .optional(),
  ntp: z.array(server).max(16).optional(),
  users: z.array(userDataUserSchema).max(userDataLimits.users).default([]),
  network: networkSchema.optional(),
  caCertificates: z
    .array(
      z
        .string()
        .max(65_536)
        .regex(
          /^\s*(-----BEGIN CERTIFICATE-----\s+(?:[A-Za-z0-9+/]+\s+)*[A-Za-z0-9+/]+={0,2}\s+-----END CERTIFICATE-----\s*)+$/,
          'must be a certificate in PEM: -----BEGIN CERTIFICATE-----, lines of base64, -----END CERTIFICATE-----',
        ),
    )
    .max(userDataLimits.certificates)
    .default([]),
  registryMirrors: z.array(mirrorSchema).max(userDataLimits.mirrors).default([]),
  files: z
    .array(
      z.strictObject({
        path: filePath,
        content: z.string().max(userDataLimits.fileChars),
        mode: z
          .string()
          .regex(/^0?[0-7]{3,4}$/, 'must be an octal mode like "0644", in quotes')
          .default('0644'),
        owner: accountName.default('root'),
        group: accountName.default('root'),
      }),
    )
    .max(userDataLimits.files)
    .default([]),
  modules: z
    .array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'is no name of a kernel module'))
    .max(100)
    .default([]),
  sysctls: z
    .record(z.string().regex(/^[a-z0-9_]+([./][A-Za-z0-9_*-]+)+$/, 'is no sysctl name like vm.swappiness'), z.union([oneLine(512), z.number()]))
    .default({}),
  /** Only when it starts from a medium: install to this disk, which loses everything, and then reboot or switch off. */
  install: z.strictObject({ device: deviceSchema, end: z.enum(['reboot', 'poweroff']).default('reboot') }).optional(),
});
export type UserData = z.infer<typeof userDataSchema>;
/** As it is written, before defaults. */
export type UserDataInput = z.input<typeof userDataSchema>;
