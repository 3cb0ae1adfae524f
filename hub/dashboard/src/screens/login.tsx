import { useState, type ReactElement, type SyntheticEvent } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { ask } from '../api/client.ts';
import { keys } from '../api/queries.ts';
import { Button } from '../parts/button.tsx';
import { useTitle } from '../parts/page.tsx';
import { Problem } from '../parts/problem.tsx';
import { isOwnPath } from '../paths.ts';
import { navigate } from '../url-state.ts';
import { Gate } from './gate.tsx';

export const Login = (): ReactElement => {
  useTitle('Log in');
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const login = useMutation({
    mutationFn: () => ask('login', { body: { name, password } }),
    onSuccess: (who) => {
      client.clear();
      client.setQueryData(keys.who, who);
      const next = new URLSearchParams(location.search).get('next');
      navigate(next !== null && isOwnPath(next) ? next : '/', { replace: true });
    },
  });
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    login.mutate();
  };
  const why = name === '' || password === '' ? 'Enter name and password first.' : login.isPending ? 'Logging in …' : undefined;
  return (
    <Gate title="Log in">
      <form onSubmit={submit}>
        <label>
          Name
          <input name="username" autoComplete="username" autoFocus required value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </label>
        {login.error !== null && <Problem failure={login.error} />}
        <Button type="submit" kind="primary" why={why}>
          Log in
        </Button>
      </form>
    </Gate>
  );
};
