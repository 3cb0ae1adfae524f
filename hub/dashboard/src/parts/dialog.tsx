import { Dialog as Base } from '@base-ui/react/dialog';
import type { ReactElement, ReactNode } from 'react';
import { Icon } from './icon.tsx';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What this is about; read out with the title. */
  about?: ReactNode;
  children: ReactNode;
  wide?: boolean;
}

export const Dialog = ({ open, onClose, title, about, children, wide = false }: DialogProps): ReactElement => (
  <Base.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
    <Base.Portal>
      <Base.Backdrop className="backdrop" />
      <Base.Popup className={wide ? 'dialog wide' : 'dialog'}>
        <header>
          <Base.Title>{title}</Base.Title>
          <Base.Close className="button quiet" aria-label="Close" title="Close">
            <Icon name="close" />
          </Base.Close>
        </header>
        {about !== undefined && <Base.Description render={<div />}>{about}</Base.Description>}
        {children}
      </Base.Popup>
    </Base.Portal>
  </Base.Root>
);
