import type { ReactElement } from 'react';

export interface Tab<K extends string> {
  key: K;
  text: string;
  /** Why it cannot be opened. */
  why?: string | undefined;
}

/** Parts of a screen; the chosen one stands in the address. Buttons with a pressed state, which every reader of screens knows. */
export const Tabs = <K extends string>({
  label,
  tabs,
  chosen,
  choose,
}: {
  label: string;
  tabs: readonly Tab<K>[];
  chosen: K;
  choose: (key: K) => void;
}): ReactElement => (
  <div className="tabs" role="group" aria-label={label}>
    {tabs.map((tab) => (
      <button
        key={tab.key}
        type="button"
        className="button quiet"
        aria-pressed={tab.key === chosen}
        aria-disabled={tab.why === undefined ? undefined : true}
        title={tab.why}
        onClick={() => tab.why === undefined && choose(tab.key)}
      >
        {tab.text}
      </button>
    ))}
  </div>
);
