import type { Link } from '@groundplane/agent/port/link';
import type { AcceptPeer } from '../port/carrier.ts';

/** A wire inside this process. Each frame comes in a turn of its own, so that neither side is called back while it speaks. */
export const processLink = (accept: () => AcceptPeer): Link => ({
  connect: (events) => {
    let isOpen = true;
    const later = (act: () => void): void => void setImmediate(() => (isOpen ? act() : undefined));
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      peer.onClose();
      setImmediate(() => events.onClose('closed'));
    };
    const peer = accept()({
      send: (text) => later(() => events.onFrame(text)),
      backlogBytes: () => 0,
      close: end,
    });
    later(() => events.onOpen());
    return { send: (text) => later(() => peer.onFrame(text)), close: end };
  },
});
