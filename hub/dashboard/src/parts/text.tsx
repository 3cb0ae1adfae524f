import type { ReactElement, ReactNode } from 'react';
import { ago, exactTime, useNow } from '../time.ts';
import type { Tone } from '../model/tone.ts';
import { showControls } from '../model/names.ts';
import { ToneMark } from './icon.tsx';

/** A name that somebody else chose: isolated, so that its writing direction cannot disturb what stands beside it, and cut with the whole in the tip. */
export const Name = ({ text }: { text: string }): ReactElement => (
  <bdi className="name" title={showControls(text)}>
    {showControls(text)}
  </bdi>
);

export const Badge = ({ tone, text, title }: { tone: Tone; text: string; title?: string }): ReactElement => (
  <span className={`badge tone-${tone}`} title={title}>
    <ToneMark tone={tone} />
    {text}
  </span>
);

export const Tag = ({ children, title }: { children: ReactNode; title?: string }): ReactElement => (
  <span className="tag" title={title}>
    {children}
  </span>
);

/** Must stand wherever a simulated host or cluster is shown. */
export const Simulated = ({ when }: { when: boolean | undefined }): ReactElement | null =>
  when === true ? (
    <span className="tag simulated" title="The machine or its Kubernetes is a simulation">
      simulated
    </span>
  ) : null;

export const Age = ({ atMs }: { atMs: number | undefined }): ReactElement => {
  const now = useNow();
  if (atMs === undefined) return <span className="quiet">never</span>;
  return (
    <time dateTime={exactTime(atMs)} title={exactTime(atMs)}>
      {ago(atMs, now)}
    </time>
  );
};

/** Online, or how old everything is that we say about the host. */
export const Presence = ({ online, lastSeenMs }: { online: boolean; lastSeenMs: number | undefined }): ReactElement => {
  const now = useNow();
  if (online) return <Badge tone="good" text="online" />;
  const text = lastSeenMs === undefined ? 'offline, never seen' : `offline, as of ${ago(lastSeenMs, now)}`;
  return <Badge tone="off" text={text} title={lastSeenMs === undefined ? 'It has not connected yet' : `Last contact ${exactTime(lastSeenMs)}`} />;
};

export const Labels = ({ labels }: { labels: Readonly<Record<string, string>> }): ReactElement => (
  <span className="labels">
    {Object.entries(labels).map(([key, value]) => (
      <Tag key={key} title={`${key}=${value}`}>
        <bdi>{value === '' ? key : `${key}=${value}`}</bdi>
      </Tag>
    ))}
  </span>
);

export const Facts = ({ rows }: { rows: readonly (readonly [string, ReactNode])[] }): ReactElement => (
  <dl className="facts">
    {rows.map(([term, value]) => (
      <div key={term}>
        <dt>{term}</dt>
        <dd>{value ?? <span className="quiet">unknown</span>}</dd>
      </div>
    ))}
  </dl>
);
