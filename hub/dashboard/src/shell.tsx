import { useCallback, useState, type ReactElement, type ReactNode } from 'react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import { ask } from './api/client.ts';
import { fleetQuery, projectsQuery } from './api/queries.ts';
import { useStream, type StreamState } from './api/stream.ts';
import { shortcuts, useKeys } from './keys.ts';
import { showControls } from './model/names.ts';
import { Dialog } from './parts/dialog.tsx';
import { Icon, type IconName } from './parts/icon.tsx';
import { Menu } from './parts/menu.tsx';
import { Palette } from './parts/palette.tsx';
import { Name } from './parts/text.tsx';
import { paths } from './paths.ts';
import { useScope } from './scope.ts';
import { setTheme, themes, useTheme } from './theme.ts';
import { ago, exactTime, useNow } from './time.ts';
import { navigate } from './url-state.ts';

const places: readonly { name: string; icon: IconName; path: (project: string) => string; part: string }[] = [
  { name: 'Fleet', icon: 'fleet', path: paths.fleet, part: 'fleet' },
  { name: 'Clusters', icon: 'clusters', path: paths.clusters, part: 'clusters' },
  { name: 'Hosts', icon: 'hosts', path: paths.hosts, part: 'hosts' },
  { name: 'Sites', icon: 'sites', path: paths.sites, part: 'sites' },
  { name: 'Lobby', icon: 'lobby', path: paths.lobby, part: 'lobby' },
  { name: 'Profiles', icon: 'profiles', path: paths.profiles, part: 'profiles' },
  { name: 'Cloud accounts', icon: 'cloud', path: paths.accounts, part: 'accounts' },
  { name: 'Registries', icon: 'registry', path: paths.registries, part: 'registries' },
  { name: 'Media', icon: 'media', path: (project) => paths.media(project), part: 'media' },
  { name: 'Macros', icon: 'macro', path: paths.macros, part: 'macros' },
  { name: 'Events', icon: 'events', path: paths.events, part: 'events' },
];

const Places = (): ReactElement => {
  const { project } = useScope();
  const [path] = useLocation();
  const fleet = useQuery(fleetQuery(project));
  const segments = path.split('/');
  const part = segments[3] === 'create' ? `${segments[4] ?? ''}s` : segments[3];
  const lobby = fleet.data?.lobby ?? 0;
  return (
    <nav className="places" aria-label="Screens">
      {places.map((place) => (
        <Link key={place.part} href={place.path(project)} aria-current={place.part === part ? 'page' : undefined}>
          <Icon name={place.icon} />
          <span>{place.name}</span>
          {place.part === 'lobby' && lobby > 0 && <span className="count">{lobby}</span>}
        </Link>
      ))}
    </nav>
  );
};

const ProjectSwitch = (): ReactElement => {
  const { project } = useScope();
  const projects = useQuery(projectsQuery());
  const entries = (projects.data ?? []).map((each) => ({
    key: each.id,
    text: <Name text={each.name} />,
    isChosen: each.name === project,
    choose: () => navigate(paths.fleet(each.name)),
  }));
  return (
    <Menu
      label={`Project ${showControls(project)}`}
      className="button quiet project-switch"
      trigger={
        <>
          <span className="quiet">Project</span> <Name text={project} />
          <Icon name="down" />
        </>
      }
      entries={entries}
    />
  );
};

const themeIcon = { system: 'system', light: 'sun', dark: 'moon' } as const;

const ThemeSwitch = (): ReactElement => {
  const theme = useTheme();
  const title = { system: 'As the system', light: 'Light', dark: 'Dark' };
  return (
    <Menu
      label="Theme"
      className="button quiet"
      trigger={<Icon name={themeIcon[theme]} />}
      entries={themes.map((each) => ({ key: each, text: title[each], isChosen: each === theme, choose: () => setTheme(each) }))}
    />
  );
};

const UserMenu = (): ReactElement => {
  const { who } = useScope();
  const client = useQueryClient();
  const leave = async (): Promise<void> => {
    await ask('logout', {}).catch(() => undefined);
    client.clear();
    navigate(paths.login());
  };
  const roles = who.grants.map((grant) => (grant.project === undefined ? grant.role : `${grant.role} in ${grant.project}`)).join(', ');
  return (
    <Menu
      label={`Account ${showControls(who.name)}`}
      className="button quiet"
      trigger={
        <>
          <Icon name="user" />
          <Name text={who.name} />
        </>
      }
      entries={[{ key: 'leave', text: 'Log out', note: roles, choose: () => void leave() }]}
    />
  );
};

const LiveMark = ({ stream }: { stream: StreamState }): ReactElement => {
  const text = { live: 'live', connecting: 'connecting', down: 'disconnected' }[stream.state];
  return (
    <span className={`live live-${stream.state}`} title={stream.state === 'live' ? 'Changes show as they happen' : 'What you see may be old'}>
      {text}
    </span>
  );
};

const DownBar = ({ asOfMs }: { asOfMs: number }): ReactElement => {
  const now = useNow();
  return (
    <div className="down-bar" role="alert">
      <Icon name="warn" />
      Disconnected from the hub. Everything here is as of {ago(asOfMs, Math.max(now, asOfMs))} ({exactTime(asOfMs)}); it continues by itself.
    </div>
  );
};

const Help = ({ open, onClose }: { open: boolean; onClose: () => void }): ReactElement => (
  <Dialog open={open} onClose={onClose} title="Keyboard">
    <dl className="keys">
      {shortcuts.map(([key, what]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
    <p className="quiet">
      Filters take words, <code>field:value</code> and <code>label=value</code>; a leading dash excludes. For example{' '}
      <code>phase:failed ring=canary -is:offline</code>.
    </p>
  </Dialog>
);

/** What stands around every screen: places, project, stream, account; and the page's one stream and keyboard. */
export const Shell = ({ children }: { children: ReactNode }): ReactElement => {
  const { project } = useScope();
  const stream = useStream(project);
  const [open, setOpen] = useState<'help' | 'palette' | undefined>(undefined);
  const help = useCallback(() => setOpen('help'), []);
  const palette = useCallback(() => setOpen('palette'), []);
  const close = useCallback(() => setOpen(undefined), []);
  useKeys(project, { help, palette });
  return (
    <div className="shell">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="bar">
        <Link href={paths.fleet(project)} className="brand" aria-label="Groundplane, fleet">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M3 14.5h14M5.5 10.5h9M8 6.5h4" />
          </svg>
          <span>Groundplane</span>
        </Link>
        <ProjectSwitch />
        <button type="button" className="button go-to" onClick={palette}>
          <Icon name="search" />
          <span>Go to</span>
          <kbd>Ctrl K</kbd>
        </button>
        <span className="bar-space" />
        <LiveMark stream={stream} />
        <button type="button" className="button quiet" onClick={help} aria-label="Keyboard help" title="Keyboard help">
          ?
        </button>
        <ThemeSwitch />
        <UserMenu />
      </header>
      <Places />
      <div className="stage">
        {stream.state === 'down' && <DownBar asOfMs={stream.asOfMs} />}
        {children}
      </div>
      <Help open={open === 'help'} onClose={close} />
      <Palette open={open === 'palette'} onClose={close} />
    </div>
  );
};
