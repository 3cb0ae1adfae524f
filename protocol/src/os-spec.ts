import { z } from 'zod';
import { agentArchs, agentVersionSchema } from './agent-package.ts';
import { digestSchema, type Digest } from './digest.ts';
import { limits } from './limits.ts';
import { osImageFiles, signedOsImageSchema } from './os-image.ts';
import { transferSchema } from './transfer.ts';

export const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*[^/\0]$/, 'must be an absolute path of a file')
  .refine((path) => !path.split('/').some((part) => part === '..' || part === '.'), 'must not contain . or .. segments');
const fileMode = z.string().regex(/^0?[0-7]{3,4}$/, 'must be an octal mode like 0644');
const accountName = z.string().regex(/^[a-z_][-a-z0-9_]{0,31}$/, 'not a user or group name');
const unitName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|path|mount|target)$/, 'must be a systemd unit name like web.service');
export const textContent = z.string().max(limits.objectBytes);

/** A file of the OS layer. The content is text; its digest is what the agent compares. */
export const osFileSchema = z.strictObject({
  path: absolutePath,
  content: textContent,
  mode: fileMode.default('0644'),
  owner: accountName.default('root'),
  group: accountName.default('root'),
});

export const osUnitSchema = z.strictObject({
  name: unitName,
  /** Absent for a unit that the distribution brings. */
  content: textContent.optional(),
  enabled: z.boolean().default(true),
  active: z.boolean().default(true),
  dropIns: z
    .array(z.strictObject({ name: z.string().regex(/^[A-Za-z0-9_.-]+\.conf$/, 'must end with .conf'), content: textContent }))
    .max(20)
    .default([]),
});

/** Names of Debian, RPM and SUSE packages; with an architecture where the distribution has several (`libc6:arm64`). */
const packageName = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9]+)?$/, 'not a package name');

export const osPackageSchema = z.strictObject({
  name: packageName,
  /** Exactly this version, held so that nobody else upgrades it. Absent: any version, installed when missing. */
  version: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9][A-Za-z0-9.+:~_^-]*$/, 'not a package version')
    .optional(),
});

const sshKey = z
  .string()
  .max(16_384)
  .regex(/^[^\n\r]+$/, 'must be one line, as in authorized_keys');

export const osUserSchema = z.strictObject({
  name: accountName,
  groups: z.array(accountName).max(50).default([]),
  shell: absolutePath.default('/bin/bash'),
  /** Lines of authorized_keys. They replace what is there. */
  sshKeys: z.array(sshKey).max(100).default([]),
});

const moduleName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'not the name of a kernel module');

const agentPackageRef = z.strictObject({ digest: digestSchema, size: z.int().min(1).max(limits.agentPackageBytes) });

/** The version of the agent that runs on the host. `gp agent upload` brings packages into the hub and prints this. */
export const osAgentSchema = z
  .strictObject({
    version: agentVersionSchema,
    /** The package for each architecture of the hosts. */
    packages: z.strictObject({ x64: agentPackageRef.optional(), arm64: agentPackageRef.optional() }),
  })
  .refine((agent) => Object.values(agent.packages).some((item) => item !== undefined), 'names no package; `gp agent upload FILE` prints what to write here');

/** When a reboot may be. By hand: `touch /run/groundplane/allow-reboot` on the host. */
export const osRebootSchema = z
  .strictObject({
    when: z.enum(['now', 'window', 'manual']).default('now'),
    windows: transferSchema.shape.windows,
    timeZone: transferSchema.shape.timeZone,
  })
  .refine((reboot) => (reboot.when === 'window') === (reboot.windows ?? []).length > 0, 'windows go with `when: window`, and it needs at least one');
export type OsReboot = z.infer<typeof osRebootSchema>;

/** A system extension (systemd-sysext): a file system image that is laid over /usr while the layer is there. */
export const osExtensionSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'not the name of a system extension'),
  images: z
    .array(z.strictObject({ digest: digestSchema, size: z.int().min(1).max(limits.osImageBytes), architecture: z.enum(agentArchs).optional() }))
    .min(1)
    .max(agentArchs.length)
    .refine(
      (images) =>
        new Set(images.map((image) => image.architecture)).size === images.length &&
        (images.length === 1 || images.every((image) => image.architecture !== undefined)),
      'has one image for every architecture, or one for all',
    ),
});

const common = {
  files: z.array(osFileSchema).max(500).default([]),
  sysctls: z
    .record(z.string().regex(/^[a-z0-9_]+([./][A-Za-z0-9_*-]+)+$/, 'not a sysctl name like vm.swappiness'), z.union([z.string().max(512), z.number()]))
    .default({}),
  units: z.array(osUnitSchema).max(100).default([]),
};
const optional = {
  /** Kernel modules, loaded now and at each boot. */
  modules: z.array(moduleName).max(100).optional(),
  /** Accounts that the host must have. The password stays locked; people come by key. */
  users: z.array(osUserSchema).max(100).optional(),
  extensions: z
    .array(osExtensionSchema)
    .max(50)
    .refine((list) => new Set(list.map((item) => item.name)).size === list.length, 'names an extension twice')
    .optional(),
};

/** OS layer in package mode: what an existing Linux host gets, without owning the whole image. */
const packageModeSchema = z.strictObject({
  mode: z.literal('package').default('package'),
  ...common,
  /** Packages of the distribution, pinned where a version is given. */
  packages: z.array(osPackageSchema).max(500).optional(),
  /** Absent: the agent stays as it is. In image mode it is part of the image. */
  agent: osAgentSchema.optional(),
  ...optional,
  /** Absent: the host never reboots by itself, whatever its packages ask for. */
  reboot: osRebootSchema.optional(),
});

/** OS layer in image mode: the whole system is one image, in two slots. Files, units and accounts lie over it in /etc and /var. */
const imageModeSchema = z.strictObject({
  mode: z.literal('image'),
  /** Manifests of one image version, one for each architecture, as `installer build` wrote them. */
  image: z
    .array(signedOsImageSchema)
    .min(1)
    .max(agentArchs.length)
    .refine((images) => new Set(images.map(({ signed }) => `${signed.name} ${signed.version}`)).size === 1, 'the manifests are of different images or versions')
    .refine((images) => new Set(images.map(({ signed }) => signed.architecture)).size === images.length, 'has two manifests for one architecture'),
  ...common,
  ...optional,
  /** Absent: at once. */
  reboot: osRebootSchema.optional(),
});

export const osSpecSchema = z.discriminatedUnion('mode', [packageModeSchema, imageModeSchema], { error: 'the OS layer knows the modes "package" and "image"' });
export type OsSpec = z.infer<typeof osSpecSchema>;

/** Large content that an OS layer names, with what it is. */
export const osContent = (os: OsSpec | undefined): { what: string; name: string; version: string; digest: Digest }[] => {
  if (os === undefined) return [];
  const agent = os.mode === 'package' ? os.agent : undefined;
  const images = os.mode === 'image' ? os.image : [];
  return [
    ...Object.entries(agent?.packages ?? {}).flatMap(([arch, item]) =>
      item === undefined ? [] : [{ what: 'agent package', name: `groundplane-agent ${arch}`, version: agent?.version ?? '', digest: item.digest }],
    ),
    ...images.flatMap(({ signed }) =>
      osImageFiles(signed).map((file) => ({
        what: 'OS image',
        name: `${signed.name} ${signed.architecture} ${file.name}`,
        version: signed.version,
        digest: file.digest,
      })),
    ),
    ...(os.extensions ?? []).flatMap(({ name, images: files }) =>
      files.map((file) => ({ what: 'system extension', name: `${name} ${file.architecture ?? ''}`.trim(), version: '', digest: file.digest })),
    ),
  ];
};
