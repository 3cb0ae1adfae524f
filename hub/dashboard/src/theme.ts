import { useSyncExternalStore } from 'react';
import { readStored, writeStored } from './stored.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const listeners = new Set<() => void>();
let current: Theme = themes.find((theme) => theme === readStored('theme')) ?? 'system';

const show = (): void => {
  if (current === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = current;
};

export const startTheme = (): void => {
  show();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => listeners.forEach((listener) => listener()));
};

export const setTheme = (theme: Theme): void => {
  current = theme;
  writeStored('theme', theme === 'system' ? undefined : theme);
  show();
  for (const listener of listeners) listener();
};

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => current);

const isDark = (): boolean => (current === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : current === 'dark');
/** What is on screen now, for the things that CSS does not reach (canvas, editor). */
export const useIsDark = (): boolean => useSyncExternalStore(subscribe, isDark);
