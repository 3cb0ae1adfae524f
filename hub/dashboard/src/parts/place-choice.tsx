import { useId, type ReactElement } from 'react';
import type { Place } from '../model/approval.ts';
import { Name } from './text.tsx';

const choices: readonly (readonly [Place, (old: ReactElement) => ReactElement, string])[] = [
  [
    'replace',
    (old) => <>Take the place of {old}</>,
    'It gets the name, labels and cluster. The old key is worth nothing afterwards: the old device has to be enrolled anew.',
  ],
  ['new', () => <>Be a new host</>, 'It comes in beside the other one, which stays as it is.'],
];

/** A replaced device, or a second one with the same serial number? Nothing is chosen before; the person before the machine knows. */
export const PlaceChoice = ({
  name,
  replaces,
  chosen,
  choose,
}: {
  name: string;
  replaces: string;
  chosen: Place | undefined;
  choose: (place: Place) => void;
}): ReactElement => {
  const id = useId();
  return (
    <fieldset className="place-choice">
      <legend>
        <Name text={name} /> has the serial number of <Name text={replaces} />
      </legend>
      {choices.map(([place, title, about]) => (
        <label key={place} className="check">
          <input type="radio" name={id} checked={chosen === place} onChange={() => choose(place)} />
          <span>
            <strong>{title(<Name text={replaces} />)}</strong>
            <span className="quiet"> {about}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
};

/** Two machines with one key: neither is believed until a person has looked. The advice is the hub's. */
export const Suspicion = ({ message }: { message: string }): ReactElement => (
  <p className="note suspicion">
    <strong>Put back from approved:</strong> <bdi>{message}</bdi>
  </p>
);
