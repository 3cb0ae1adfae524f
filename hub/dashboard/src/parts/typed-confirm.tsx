import { useState, type ReactElement, type ReactNode, type SyntheticEvent } from 'react';
import type { ApiError } from '../api/client.ts';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Problem } from './problem.tsx';

interface TypedConfirmProps {
  open: boolean;
  onClose: () => void;
  title: string;
  about: ReactNode;
  /** Has to be typed before the button works. */
  name: string;
  action: string;
  error: ApiError | null;
  isPending: boolean;
  onConfirm: () => void;
  children?: ReactNode;
}

/** For what cannot be taken back: the name has to be typed. */
export const TypedConfirm = ({ open, onClose, title, about, name, action, error, isPending, onConfirm, children }: TypedConfirmProps): ReactElement => {
  const [typed, setTyped] = useState('');
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (typed === name) onConfirm();
  };
  return (
    <Dialog open={open} onClose={onClose} title={title} about={about}>
      <form onSubmit={submit}>
        <label>
          <span>
            Type <bdi className="typed-name">{name}</bdi> to confirm
          </span>
          <input value={typed} autoFocus autoComplete="off" spellCheck={false} onChange={(event) => setTyped(event.target.value)} />
        </label>
        {children}
        {error !== null && <Problem failure={error} />}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="danger" why={typed !== name ? 'Type the name first.' : isPending ? 'It is on its way.' : undefined}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
};
