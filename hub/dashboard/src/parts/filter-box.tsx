import type { ReactElement } from 'react';
import { useUrlState } from '../url-state.ts';
import { Icon } from './icon.tsx';

interface FilterBoxProps {
  label: string;
  hint: string;
  /** `12 of 5,000`. */
  shown: number;
  total: number;
  /** Pages are still being read. */
  isPartial?: boolean;
}

const count = new Intl.NumberFormat('en');

/** The filter of a list; its text is in the address as `q`. */
export const FilterBox = ({ label, hint, shown, total, isPartial = false }: FilterBoxProps): ReactElement => {
  const [text, setText] = useUrlState('q');
  return (
    <div className="filter">
      <Icon name="search" />
      <input
        type="search"
        data-filter
        aria-label={label}
        title="Words, field:value, label=value; a leading dash excludes"
        placeholder={hint}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
      />
      <kbd aria-hidden="true">/</kbd>
      <span className="filter-count" role="status">
        {shown === total ? count.format(total) : `${count.format(shown)} of ${count.format(total)}`}
        {isPartial && ' so far'}
      </span>
    </div>
  );
};
