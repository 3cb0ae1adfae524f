import { useId, type ReactElement, type ReactNode } from 'react';
import { Link } from 'wouter';

interface ButtonProps {
  children: ReactNode;
  onClick?: () => void;
  /** The sentence that says why it cannot be pressed now. It stays focusable, so that a screen reader finds the reason too. */
  why?: string | undefined;
  kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  label?: string;
  pressed?: boolean;
}

export const Button = ({ children, onClick, why, kind = 'plain', type = 'button', label, pressed }: ButtonProps): ReactElement => {
  const id = useId();
  const isOff = why !== undefined;
  return (
    <>
      <button
        type={type}
        className={`button ${kind}`}
        aria-disabled={isOff || undefined}
        aria-describedby={isOff ? id : undefined}
        aria-label={label}
        aria-pressed={pressed}
        title={why ?? label}
        onClick={(event) => {
          if (isOff) event.preventDefault();
          else onClick?.();
        }}
      >
        {children}
      </button>
      {isOff && (
        <span id={id} className="unseen">
          {why}
        </span>
      )}
    </>
  );
};

/** A link that looks like a button; with a reason it is a disabled button instead. */
export const LinkButton = ({
  href,
  children,
  kind = 'plain',
  why,
}: {
  href: string;
  children: ReactNode;
  kind?: 'plain' | 'primary';
  why?: string | undefined;
}): ReactElement =>
  why === undefined ? (
    <Link href={href} className={`button ${kind}`}>
      {children}
    </Link>
  ) : (
    <Button why={why} kind={kind}>
      {children}
    </Button>
  );
