import { useEffect, type ReactElement, type ReactNode } from 'react';
import type { ApiError } from '../api/client.ts';
import { Button } from './button.tsx';
import { Problem } from './problem.tsx';

export const useTitle = (title: string): void => {
  useEffect(() => {
    document.title = `${title.slice(0, 80)} · Groundplane`;
  }, [title]);
};

interface PageProps {
  title: ReactNode;
  /** For the tab of the browser. */
  tab: string;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** The page fills the window and scrolls inside, for long lists and editors. */
  fill?: boolean;
}

export const Page = ({ title, tab, note, actions, children, fill = false }: PageProps): ReactElement => {
  useTitle(tab);
  return (
    <main className={fill ? 'page fill' : 'page'} id="content" tabIndex={-1}>
      <header className="page-head">
        <div className="page-title">
          <h1>{title}</h1>
          {note !== undefined && <div className="page-note">{note}</div>}
        </div>
        <div className="row">{actions}</div>
      </header>
      {children}
    </main>
  );
};

export const Card = ({ title, actions, children, tone }: { title: string; actions?: ReactNode; children: ReactNode; tone?: 'bad' }): ReactElement => (
  <section className={tone === undefined ? 'card' : 'card card-bad'} aria-label={title}>
    <header>
      <h2>{title}</h2>
      <div className="row">{actions}</div>
    </header>
    {children}
  </section>
);

export const Empty = ({ title, children }: { title: string; children?: ReactNode }): ReactElement => (
  <div className="empty">
    <p className="empty-title">{title}</p>
    {children}
  </div>
);

export const Loading = ({ what }: { what: string }): ReactElement => (
  <div className="loading" role="status">
    Loading {what} …
  </div>
);

interface Asked<T> {
  data: T | undefined;
  error: ApiError | null;
  refetch: () => unknown;
}

/** The data of a query, or what stands in its place: that it loads, or why it does not. Old data stays on screen while a newer read fails. */
export const Answer = <T,>({ of, what, children }: { of: Asked<T>; what: string; children: (data: T) => ReactNode }): ReactNode => {
  const problem = of.error !== null && (
    <Problem failure={of.error}>
      <Button onClick={() => void of.refetch()}>Try again</Button>
    </Problem>
  );
  if (of.data === undefined) return problem === false ? <Loading what={what} /> : problem;
  return (
    <>
      {problem}
      {children(of.data)}
    </>
  );
};
