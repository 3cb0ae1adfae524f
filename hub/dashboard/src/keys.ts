import { useEffect } from 'react';
import { nowMs } from './clock.ts';
import { paths } from './paths.ts';
import { navigate } from './url-state.ts';

/** Letters belong to the field, the editor or the dialog that has the focus. */
export const isTyping = (event: KeyboardEvent): boolean => {
  const target = event.target instanceof HTMLElement ? event.target : undefined;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  return target?.closest('input, textarea, select, [contenteditable=true], [role=dialog], [role=menu]') !== null && target !== undefined;
};

export const shortcuts: readonly (readonly [string, string])[] = [
  ['/', 'Filter the list'],
  ['g h', 'Hosts'],
  ['g c', 'Clusters'],
  ['g p', 'Profiles'],
  ['g f', 'Fleet'],
  ['g s', 'Sites'],
  ['g l', 'Lobby'],
  ['g a', 'Cloud accounts'],
  ['g r', 'Registries'],
  ['g u', 'Media'],
  ['g m', 'Macros'],
  ['g e', 'Events'],
  ['j, k', 'Next or previous row'],
  ['Enter', 'Open the chosen row'],
  ['Ctrl K', 'Go to anything'],
  ['?', 'This help'],
];

const goTo: Readonly<Record<string, (project: string) => string>> = {
  h: paths.hosts,
  c: paths.clusters,
  p: paths.profiles,
  f: paths.fleet,
  s: paths.sites,
  l: paths.lobby,
  u: (project) => paths.media(project),
  a: paths.accounts,
  r: paths.registries,
  m: paths.macros,
  e: paths.events,
};
/** The second key of `g h` has to come within this time. */
const chordMs = 1500;

interface KeyActions {
  help: () => void;
  palette: () => void;
}

/** The page's keyboard. One listener; nothing happens while somebody types. */
export const useKeys = (project: string, { help, palette }: KeyActions): void => {
  useEffect(() => {
    let chordAtMs = 0;
    const onKey = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        return palette();
      }
      if (isTyping(event)) return;
      const path = nowMs() - chordAtMs < chordMs && Object.hasOwn(goTo, event.key) ? goTo[event.key] : undefined;
      chordAtMs = event.key === 'g' ? nowMs() : 0;
      if (path !== undefined) {
        event.preventDefault();
        return navigate(path(project));
      }
      if (event.key === '?') help();
      if (event.key === '/') {
        event.preventDefault();
        document.querySelector<HTMLInputElement>('[data-filter]')?.focus();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [project, help, palette]);
};
