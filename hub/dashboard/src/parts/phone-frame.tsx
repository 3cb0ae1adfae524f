import type { ReactElement, ReactNode } from 'react';

/** What stands around it on a small screen: no places, no keyboard, one thing to do. */
export const PhoneFrame = ({ title, children }: { title: ReactNode; children: ReactNode }): ReactElement => (
  <main className="phone" id="content">
    <p className="quiet">Groundplane</p>
    <h1>{title}</h1>
    {children}
  </main>
);
