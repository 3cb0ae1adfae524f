import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { useTitle } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { navigate } from '../url-state.ts';
import { Gate } from './gate.tsx';

const passwordMin = 12;

const reason = (token: string, name: string, password: string, again: string): string | undefined => {
  if (token === '') return 'The link has no token. Open the link that the hub printed at its first start.';
  if (name === '') return 'Choose a name first.';
  if (password.length < passwordMin) return `A password has at least ${passwordMin} characters.`;
  if (password !== again) return 'The two passwords differ.';
  return undefined;
};

/** First visit: the one-time link makes the first administrator. The token stays behind the #, which no browser sends to a server or a log. */
export const Setup = (): ReactElement => {
  useTitle('Set up');
  const client = useQueryClient();
  const [token] = useState(() => location.hash.slice(1));
  const [name, setName] = useState('admin');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const setup = useMutation({
    mutationFn: () => ask('setup', { body: { token, name, password } }),
    onSuccess: (who) => {
      client.setQueryData(keys.who, who);
      navigate('/', { replace: true });
    },
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    setup.mutate();
  };
  const why = reason(token, name, password, again) ?? (setup.isPending ? 'One moment …' : undefined);
  return (
    <Gate title="Set up this hub" note="You become its first administrator. The link works once.">
      {token === '' && (
        <Problem
          failure={{
            kind: 'blocked',
            code: 'setup-token-missing',
            element: 'set-up link',
            message: 'has no token. Open the whole link that the hub printed when it started for the first time, with the part behind the #.',
          }}
        />
      )}
      <form onSubmit={submit}>
        <label>
          Name
          <input name="username" autoComplete="username" required maxLength={128} value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <div className="field">
          <label>
            Password
            <input
              name="password"
              type="password"
              autoComplete="new-password"
              required
              minLength={passwordMin}
              maxLength={1024}
              value={password}
              aria-describedby="password-hint"
              onChange={(event) => setPassword(event.target.value)}
            />
          </label>
          <span className="hint" id="password-hint">
            At least {passwordMin} characters; a few words are good.
          </span>
        </div>
        <label>
          Password again
          <input name="again" type="password" autoComplete="new-password" required value={again} onChange={(event) => setAgain(event.target.value)} />
        </label>
        {setup.error !== null && <Problem failure={setup.error} />}
        <Button type="submit" kind="primary" why={why}>
          Make the administrator
        </Button>
      </form>
    </Gate>
  );
};
