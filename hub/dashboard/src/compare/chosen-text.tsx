import type { ReactElement } from 'react';
import { SideBySide } from '../edit/side-by-side.tsx';
import type { Tone } from '../model/tone.ts';
import { Card } from '../parts/page.tsx';
import { Badge, Name } from '../parts/text.tsx';

export type Change = 'add' | 'change' | 'remove' | 'same';
export const changeTone: Readonly<Record<Change, Tone>> = { add: 'good', change: 'warn', remove: 'bad', same: 'idle' };

export interface Compared {
  key: string;
  /** Under which it stands in the list; absent: no heading. */
  group?: string;
  name: string;
  change: Change;
  before: string;
  after: string;
}

interface ChosenTextProps {
  title: string;
  items: readonly Compared[];
  wanted: string;
  choose: (key: string) => void;
  sides: readonly [string, string];
  /** `remove` in the words of what is compared. */
  words?: Readonly<Partial<Record<Change, string>>>;
}

const shownMax = 1_000;

/** A list of what differs, and the two texts of the chosen one beside each other. */
export const ChosenText = ({ title, items, wanted, choose, sides, words = {} }: ChosenTextProps): ReactElement | null => {
  const chosen = items.find((item) => item.key === wanted) ?? items[0];
  if (chosen === undefined) return null;
  return (
    <div className="diff-columns">
      <Card title={title}>
        <ul className="diff-layers">
          {items.slice(0, shownMax).map((item, index) => (
            <li key={item.key}>
              {item.group !== undefined && item.group !== items[index - 1]?.group && (
                <h3>
                  <Name text={item.group} />
                </h3>
              )}
              <button type="button" className="button quiet" aria-pressed={item === chosen} onClick={() => choose(item.key)}>
                <Badge tone={changeTone[item.change]} text={words[item.change] ?? item.change} />
                <Name text={item.name} />
              </button>
            </li>
          ))}
          {items.length > shownMax && <li className="quiet">and {items.length - shownMax} more</li>}
        </ul>
      </Card>
      <section className="card merge-card" aria-label={`${chosen.name.slice(0, 80)} before and after`}>
        <header className="merge-head">
          {sides.map((side, index) => (
            <h2 key={index}>
              <Name text={side} />
            </h2>
          ))}
        </header>
        <SideBySide before={chosen.before} after={chosen.after} labels={[`${chosen.name} in ${sides[0]}`, `${chosen.name} in ${sides[1]}, after`]} />
      </section>
    </div>
  );
};
