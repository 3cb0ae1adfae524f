import type { ReactElement } from 'react';
import type { Tone } from '../model/tone.ts';

const strokes = {
  fleet: 'M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z',
  clusters: 'M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM8 8l5.5-3M8 8v6.2M8 8 2.5 5',
  hosts: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  lobby: 'M3 14V2.5h7V14M1.5 14h13M10 5h3v9M7.5 8.5h.01',
  profiles: 'M8 2 14 5 8 8 2 5zM2 8l6 3 6-3M2 11l6 3 6-3',
  events: 'M2 4h12M2 8h8M2 12h10',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  check: 'm3 8.5 3.2 3.2L13 5',
  close: 'm3.5 3.5 9 9m0-9-9 9',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zm3.7-1.3L14 14',
  down: 'm4 6 4 4 4-4',
  up: 'm4 10 4-4 4 4',
  cloud: 'M4.6 12.5a3 3 0 0 1-.4-6 4 4 0 0 1 7.7-.6 3.3 3.3 0 0 1-.4 6.6z',
  registry: 'M2.5 4.5 8 2l5.5 2.5v7L8 14l-5.5-2.5zM2.5 4.5 8 7l5.5-2.5M8 7v7',
  macro: 'M5.5 2.5C3.5 2.5 5 8 2.5 8 5 8 3.5 13.5 5.5 13.5M10.5 2.5C12.5 2.5 11 8 13.5 8 11 8 12.5 13.5 10.5 13.5M8 8h.01',
  sites: 'M8 14.2C5 11 3.2 8.7 3.2 6.4a4.8 4.8 0 0 1 9.6 0C12.8 8.7 11 11 8 14.2zM8 8a1.6 1.6 0 1 0 0-3.2A1.6 1.6 0 0 0 8 8z',
  media: 'M4 6.5h8v7.5H4zM5.5 6.5V2h5v4.5M7.3 4.2h.01M8.8 4.2h.01',
  right: 'm6 4 4 4-4 4',
  plus: 'M8 3v10M3 8h10',
  sun:
    'M8 10.8A2.8 2.8 0 1 0 8 5.2a2.8 2.8 0 0 0 0 5.6z' +
    'M8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M3.2 12.8l1.1-1.1M11.7 4.3l1.1-1.1',
  moon: 'M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z',
  system: 'M2 3h12v8H2zM5.5 13.5h5',
  user: 'M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8zm-5.2 5.8a5.2 5.2 0 0 1 10.4 0',
  edit: 'M11 2.5 13.5 5 6 12.5l-3.2.7.7-3.2z',
  warn: 'M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.6h.01',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
} as const;
export type IconName = keyof typeof strokes;

export const Icon = ({ name }: { name: IconName }): ReactElement => (
  <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d={strokes[name]} />
  </svg>
);

/** A different shape for each tone, so that it reads without colour too. */
const shapes: Readonly<Record<Tone, ReactElement>> = {
  good: <circle cx="5" cy="5" r="4" />,
  busy: <path d="M5 1a4 4 0 0 1 0 8z M5 1a4 4 0 1 0 0 8" className="half" />,
  warn: <path d="M5 .8 9.6 9H.4z" />,
  bad: <path d="M3 .5h4L9.5 3v4L7 9.5H3L.5 7V3z" />,
  idle: <circle cx="5" cy="5" r="3.4" className="hollow" />,
  off: <path d="M1 5h8" className="dash" />,
};

export const ToneMark = ({ tone }: { tone: Tone }): ReactElement => (
  <svg className={`mark tone-${tone}`} viewBox="0 0 10 10" aria-hidden="true" focusable="false">
    {shapes[tone]}
  </svg>
);
