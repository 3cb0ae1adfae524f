import type { ReactElement } from 'react';
import type { DocumentProblem } from './check-document.ts';

export const ProblemList = ({ problems, jump }: { problems: readonly DocumentProblem[]; jump: (problem: DocumentProblem) => void }): ReactElement =>
  problems.length === 0 ? (
    <p className="calm" role="status">
      No problems.
    </p>
  ) : (
    <ul className="problem-list" aria-label="Problems">
      {problems.map((problem, index) => (
        <li key={`${problem.from}/${index}`} className={problem.severity === 'warning' ? 'is-warning' : undefined}>
          <button type="button" className="button quiet" onClick={() => jump(problem)}>
            Line {problem.line}
          </button>
          <bdi>{problem.message}</bdi>
        </li>
      ))}
    </ul>
  );
