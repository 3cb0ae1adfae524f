import type { ReactElement, ReactNode } from 'react';
import type { Failure } from '@groundplane/protocol/failure';
import { Icon } from './icon.tsx';

const nextStep: Readonly<Record<Failure['kind'], string>> = {
  retry: 'It may work when tried again; nothing has to be changed for that.',
  blocked: 'It goes on once what the message names has changed.',
  fatal: 'It cannot work with this input; change it first.',
};

/** A failure as what (the element), why (the message) and what to do next. */
export const Problem = ({ failure, children }: { failure: Failure; children?: ReactNode }): ReactElement => (
  <div className="problem" role="alert">
    <Icon name="warn" />
    <div>
      <p className="problem-what">
        <bdi>{failure.element}</bdi> <code>{failure.code}</code>
      </p>
      <p className="problem-why">
        <bdi>{failure.message}</bdi>
      </p>
      <p className="quiet">{nextStep[failure.kind]}</p>
      {children !== undefined && <div className="row">{children}</div>}
    </div>
  </div>
);
