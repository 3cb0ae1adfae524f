import { resolveTarget } from '../connect.ts';
import type { Context } from '../io.ts';
import { printList } from '../output/print.ts';
import { readSettings, settingsPath, writeSettings, type Settings } from '../settings.ts';
import { exits, trouble, type Outcome } from '../trouble.ts';

interface Listed {
  current: boolean;
  name: string;
  hub: string;
  project: string;
  user: string;
  /** What gives this: the file, or variables and flags. */
  from: string;
}

const listed = (context: Context, settings: Settings): Listed[] => {
  const target = resolveTarget(context.globals, context.io.env, settings);
  const items = Object.entries(settings.contexts).map(([name, item]): Listed => ({
    current: target.ok && target.value.context === name,
    name,
    hub: item.hub,
    project: item.project ?? 'default',
    user: item.name,
    from: 'gp.json',
  }));
  if (target.ok && target.value.context === undefined)
    items.push({
      current: true,
      name: '-',
      hub: target.value.hub,
      project: target.value.project,
      user: target.value.credential === undefined ? '(not logged in)' : '(token)',
      from: 'flags or environment',
    });
  return items.map((item) => (item.current && target.ok ? { ...item, project: target.value.project } : item));
};

/** `gp context`: which hub, project and user a command would use. Keys are never shown. */
export const showContext = async (context: Context): Promise<Outcome> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return settings.trouble;
  await printList(context, listed(context, settings.value), {
    name: (item) => item.name,
    columns: [
      { title: ' ', value: (item) => (item.current ? '*' : ' ') },
      { title: 'NAME', value: (item) => item.name },
      { title: 'HUB', value: (item) => item.hub },
      { title: 'PROJECT', value: (item) => item.project },
      { title: 'USER', value: (item) => item.user },
      { title: 'FROM', value: (item) => item.from },
    ],
    empty: `no context is stored in ${settingsPath(context.io.env)}. Log in: gp login URL`,
  });
  return exits.ok;
};

/** `gp context use NAME`, and with `--project` also the project that commands without one mean. */
export const useContext = async (context: Context, name: string): Promise<Outcome> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return settings.trouble;
  const item = Object.hasOwn(settings.value.contexts, name) ? settings.value.contexts[name] : undefined;
  if (item === undefined) return trouble(`context ${name}`, 'is not stored', 'gp context');
  const { project } = context.globals;
  const written = await writeSettings(context.io, {
    ...settings.value,
    current: name,
    contexts: { ...settings.value.contexts, [name]: { ...item, ...(project === undefined ? {} : { project }) } },
  });
  return written.ok ? showContext(context) : written.trouble;
};
