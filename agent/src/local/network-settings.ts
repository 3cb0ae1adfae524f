import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

const ip = z.union([z.ipv4(), z.ipv6()]);
const interfaceName = z.string().regex(/^[A-Za-z0-9_.-]{1,15}$/, 'is no name of a network interface');

export const networkSettingsSchema = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('dhcp'), interface: interfaceName, dns: z.array(ip).max(4).default([]) }),
  z.strictObject({
    mode: z.literal('static'),
    interface: interfaceName,
    /** With its prefix: `192.168.1.10/24`. */
    address: z.union([z.cidrv4(), z.cidrv6()]),
    gateway: ip.optional(),
    dns: z.array(ip).max(4).default([]),
  }),
]);
export type NetworkSettings = z.infer<typeof networkSettingsSchema>;

/** Fields of the form as settings. */
export const parseNetworkForm = (form: URLSearchParams): Result<NetworkSettings> => {
  const list = (name: string): string[] => (form.get(name) ?? '').split(/[\s,]+/).filter((part) => part !== '');
  const isStatic = form.get('mode') === 'static';
  const gateway = (form.get('gateway') ?? '').trim();
  const parsed = networkSettingsSchema.safeParse({
    mode: isStatic ? 'static' : 'dhcp',
    interface: form.get('interface') ?? '',
    dns: list('dns'),
    ...(isStatic ? { address: (form.get('address') ?? '').trim(), ...(gateway === '' ? {} : { gateway }) } : {}),
  });
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  return fail('fatal', 'network-invalid', `network, ${issue?.path.join('.') ?? ''}`, issue?.message ?? 'cannot be understood');
};

/** A file of systemd-networkd (systemd.network(5)). The low number lets it win over those of the distribution. */
export const networkPath = (name: string): string => `/etc/systemd/network/05-groundplane-${name}.network`;
export const networkFile = (settings: NetworkSettings): string =>
  [
    '# Written by the Groundplane agent from its local page.',
    '[Match]',
    `Name=${settings.interface}`,
    '',
    '[Network]',
    ...(settings.mode === 'dhcp'
      ? ['DHCP=yes']
      : ['DHCP=no', `Address=${settings.address}`, ...(settings.gateway === undefined ? [] : [`Gateway=${settings.gateway}`])]),
    ...settings.dns.map((server) => `DNS=${server}`),
    '',
  ].join('\n');
