import { useId, useState, type ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { clustersQuery, hostsQuery, profilesQuery } from '../api/queries.ts';
import { paths } from '../paths.ts';
import { useScope } from '../scope.ts';
import { navigate } from '../url-state.ts';
import { Dialog } from './dialog.tsx';
import { Name } from './text.tsx';

interface Target {
  key: string;
  kind: string;
  name: string;
  href: string;
}

const shownMax = 12;

const useTargets = (): Target[] => {
  const { project } = useScope();
  const clusters = useQuery(clustersQuery(project)).data?.items ?? [];
  const hosts = useQuery(hostsQuery(project)).data?.items ?? [];
  const profiles = useQuery(profilesQuery(project)).data?.items ?? [];
  const screen = (name: string, href: string): Target => ({ key: href, kind: 'screen', name, href });
  return [
    screen('Fleet', paths.fleet(project)),
    screen('Clusters', paths.clusters(project)),
    screen('Hosts', paths.hosts(project)),
    screen('Sites', paths.sites(project)),
    screen('Media', paths.media(project)),
    screen('Lobby', paths.lobby(project)),
    screen('Tickets', paths.tickets(project)),
    screen('Profiles', paths.profiles(project)),
    screen('Registries', paths.registries(project)),
    screen('Macros', paths.macros(project)),
    screen('Events', paths.events(project)),
    screen('Create a cluster', paths.clusterCreate(project)),
    screen('Create a profile', paths.profileCreate(project)),
    ...clusters.map(({ name, simulated }) => ({
      key: `c/${name}`,
      kind: simulated ? 'simulated cluster' : 'cluster',
      name,
      href: paths.cluster(project, name),
    })),
    ...profiles.map(({ name, version }) => ({
      key: `p/${name}/${version}`,
      kind: 'profile',
      name: `${name} ${version}`,
      href: paths.profile(project, name, version),
    })),
    ...hosts.map(({ name, simulated }) => ({ key: `h/${name}`, kind: simulated ? 'simulated host' : 'host', name, href: paths.host(project, name) })),
  ];
};

/** Names that begin with the text come first, then those that contain it; the first few only. */
export const findTargets = <T extends { name: string }>(targets: readonly T[], text: string): T[] => {
  const wanted = text.trim().toLowerCase();
  const begins = targets.filter((target) => target.name.toLowerCase().startsWith(wanted));
  const contains = targets.filter((target) => !target.name.toLowerCase().startsWith(wanted) && target.name.toLowerCase().includes(wanted));
  return [...begins, ...contains].slice(0, shownMax);
};

const Chooser = ({ onClose }: { onClose: () => void }): ReactElement => {
  const id = useId();
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(0);
  const found = findTargets(useTargets(), text);
  const go = (target: Target | undefined): void => {
    if (target === undefined) return;
    onClose();
    navigate(target.href);
  };
  const move = (step: number): void => setChosen((chosen + step + found.length) % Math.max(found.length, 1));
  const onKey = (key: string): boolean => {
    if (key === 'ArrowDown') move(1);
    else if (key === 'ArrowUp') move(-1);
    else if (key === 'Enter') go(found[chosen]);
    else return false;
    return true;
  };
  return (
    <>
      <input
        role="combobox"
        aria-label="Go to"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found[chosen] === undefined ? undefined : `${id}-${chosen}`}
        value={text}
        autoFocus
        spellCheck={false}
        placeholder="Cluster, host, profile or screen"
        onChange={(event) => {
          setText(event.target.value);
          setChosen(0);
        }}
        onKeyDown={(event) => onKey(event.key) && event.preventDefault()}
      />
      <div role="listbox" id={id} className="palette-list" aria-label="Found">
        {found.map((target, index) => (
          <div
            role="option"
            id={`${id}-${index}`}
            key={target.key}
            aria-selected={index === chosen}
            className="palette-item"
            onClick={() => go(target)}
            onPointerMove={() => setChosen(index)}
          >
            <Name text={target.name} />
            <span className="quiet">{target.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="quiet">Nothing has this name.</p>}
    </>
  );
};

export const Palette = ({ open, onClose }: { open: boolean; onClose: () => void }): ReactElement => (
  <Dialog open={open} onClose={onClose} title="Go to">
    <Chooser onClose={onClose} />
  </Dialog>
);
