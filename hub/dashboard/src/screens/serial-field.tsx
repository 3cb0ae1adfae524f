import { useState, type ReactElement } from 'react';
import { limits } from '@groundplane/protocol/limits';
import { readSerials, type SerialList } from '@groundplane/protocol/serials';

/** Problems that are shown; the rest is a number. */
const shownMax = 5;

/** An empty field is no list: then any device may use the ticket. */
export const readListed = (text: string): SerialList | undefined => (text.trim() === '' ? undefined : readSerials(text));

export const whyNotList = (list: SerialList | undefined): string | undefined =>
  list === undefined || list.problemCount === 0
    ? undefined
    : `The list has ${list.problemCount === 1 ? 'a wrong line' : `${list.problemCount} wrong lines`}; mend ${list.problemCount === 1 ? 'it' : 'them'} first.`;

const devices = (count: number): string => `${count} ${count === 1 ? 'device' : 'devices'}`;

const Told = ({ list, uses }: { list: SerialList; uses: number }): ReactElement => (
  <div role="status" className="list-told">
    <p>
      {devices(list.count)}, {list.named} with a name. Only these can use the ticket.
      {uses < list.count && ` It is for ${uses} of them: those that come first.`}
    </p>
    {list.problemCount > 0 && (
      <ul className="plain" aria-label="Wrong lines">
        {list.problems.slice(0, shownMax).map((problem) => (
          <li key={problem.line}>
            <strong>{problem.line === 0 ? 'The list' : `Line ${problem.line}`}</strong> <bdi>{problem.message}</bdi>
          </li>
        ))}
        {list.problemCount > shownMax && <li className="quiet">and {list.problemCount - shownMax} more</li>}
      </ul>
    )}
  </div>
);

/** Serial numbers, pasted or from a file, and what was understood of them. */
export const SerialField = ({
  text,
  list,
  uses,
  set,
}: {
  text: string;
  list: SerialList | undefined;
  uses: number;
  set: (text: string) => void;
}): ReactElement => {
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const take = (next: string): void => {
    const isLong = next.length > limits.serialListBytes;
    setProblem(isLong ? `That is more than ${limits.serialListBytes / 1024 / 1024} MiB; no list is that long.` : undefined);
    if (!isLong) set(next);
  };
  const open = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    if (file.size > limits.serialListBytes) return setProblem(`${file.name} has more than ${limits.serialListBytes / 1024 / 1024} MiB; no list is that long.`);
    take(await file.text());
  };
  return (
    <details>
      <summary>Only listed devices</summary>
      <div className="stack">
        <label>
          Serial numbers, one a line; beside each maybe what its host is called
          <textarea
            rows={4}
            spellCheck={false}
            wrap="off"
            value={text}
            placeholder={'SN-4711,till-1\nSN-4712,till-2'}
            aria-invalid={whyNotList(list) === undefined ? undefined : true}
            onChange={(event) => take(event.target.value)}
          />
        </label>
        <label>
          Or a file of them
          <input type="file" accept=".csv,.txt,text/plain,text/csv" onChange={(event) => void open(event.target.files?.[0])} />
        </label>
        {problem !== undefined && (
          <p className="note" role="alert">
            {problem}
          </p>
        )}
        {list !== undefined && <Told list={list} uses={uses} />}
      </div>
    </details>
  );
};
