import type { ReactElement, ReactNode } from 'react';

/** The frame of the two screens that nobody is logged in at. */
export const Gate = ({ title, note, children }: { title: string; note?: ReactNode; children: ReactNode }): ReactElement => (
  <main className="gate">
    <div className="gate-card">
      <p className="brand">
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <path d="M3 14.5h14M5.5 10.5h9M8 6.5h4" />
        </svg>
        <span>Groundplane</span>
      </p>
      <h1>{title}</h1>
      {note !== undefined && <p className="quiet">{note}</p>}
      {children}
    </div>
  </main>
);
