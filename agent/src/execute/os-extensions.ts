import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { writes, type OsRecord } from '../store/state.ts';
import type { Extensions } from '../port/extensions.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { remember } from './os.ts';

/** What the last refresh of a boot has laid over /usr: name → digest. Systemd does it anew at each boot, from the same links. */
export const mergedKey = 'extensions';
export type Merged = Readonly<Record<string, string>>;

const extensionsOf = (context: ExecuteContext, element: string): Result<Extensions> =>
  context.extensions === undefined
    ? fail('blocked', 'extension-unsupported', element, 'this host has no systemd-sysext (systemd 248 or newer)')
    : ok(context.extensions);

/** Before-images first, then links, then one refresh; only then it is noted as merged, so that a cut in between leads to another refresh. */
export const setExtensions: Executor<'setExtensions'> = async (args, context) => {
  const extensions = extensionsOf(context, `layer ${args.layer}`);
  if (!extensions.ok) return extensions;
  for (const { name, digest } of args.extensions) {
    const path = await context.blobs.path(digest);
    if (path === undefined) return fail('retry', 'content-missing', `layer ${args.layer}`, `the system extension ${name} (${digest}) is not here yet`);
    const before = await extensions.value.read(name);
    if (!before.ok) return before;
    // Something of somebody else under this name would be lost: links can be made anew, files cannot.
    if (before.value === 'other')
      return fail(
        'blocked',
        'extension-foreign',
        `layer ${args.layer}`,
        `/var/lib/extensions/${name}.raw is a file of somebody else. Move it away, or choose another name`,
      );
    const remembered = await remember(context, args.layer, 'extension', name, async () => ok({ extension: 'absent' }));
    if (!remembered.ok) return remembered;
    const linked = await extensions.value.link(name, path);
    if (!linked.ok) return linked;
  }
  const done = await extensions.value.refresh();
  if (!done.ok) return done;
  const merged = context.state.kv<Merged>(mergedKey) ?? {};
  return ok([writes.kv(mergedKey, { ...merged, ...Object.fromEntries(args.extensions.map(({ name, digest }) => [name, digest])) })]);
};

export const restoreExtensions: Executor<'restoreExtensions'> = async (args, context) => {
  const items = args.names
    .map((key) => context.state.osItem({ layer: args.layer, kind: 'extension', key }))
    .filter((item): item is OsRecord => item !== undefined);
  if (items.length === 0) return ok([]);
  const extensions = extensionsOf(context, `layer ${args.layer}`);
  if (!extensions.ok) return extensions;
  for (const { key } of items) {
    const gone = await extensions.value.unlink(key);
    if (!gone.ok) return gone;
  }
  const done = await extensions.value.refresh();
  if (!done.ok) return done;
  const merged = Object.fromEntries(Object.entries(context.state.kv<Merged>(mergedKey) ?? {}).filter(([name]) => !items.some((item) => item.key === name)));
  return ok([...items.map((item) => writes.noOs(item)), writes.kv(mergedKey, merged)]);
};
