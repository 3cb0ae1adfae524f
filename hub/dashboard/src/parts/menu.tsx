import { Menu as Base } from '@base-ui/react/menu';
import type { ReactElement, ReactNode } from 'react';

export interface MenuEntry {
  key: string;
  text: ReactNode;
  note?: string;
  isChosen?: boolean;
  choose: () => void;
}

interface MenuProps {
  /** Its name for screen readers; has to contain what stands in the button. */
  label: string;
  trigger: ReactNode;
  entries: readonly MenuEntry[];
  className?: string;
}

export const Menu = ({ label, trigger, entries, className = 'button' }: MenuProps): ReactElement => (
  <Base.Root modal={false}>
    <Base.Trigger className={className} aria-label={label} title={label}>
      {trigger}
    </Base.Trigger>
    <Base.Portal>
      <Base.Positioner className="menu-place" sideOffset={4} align="end">
        <Base.Popup className="menu">
          {entries.map((entry) => (
            <Base.Item key={entry.key} className={entry.isChosen === true ? 'menu-item chosen' : 'menu-item'} onClick={entry.choose}>
              <span>{entry.text}</span>
              {entry.note !== undefined && <span className="quiet">{entry.note}</span>}
            </Base.Item>
          ))}
        </Base.Popup>
      </Base.Positioner>
    </Base.Portal>
  </Base.Root>
);
