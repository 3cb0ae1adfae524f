import { useEffect, useEffectEvent, useState } from 'react';
import { after } from '../clock.ts';

/** A pause in typing after which the text goes into the document. */
const pauseMs = 300;

/** A text of an editor inside of a document: it is written in when somebody pauses, leaves the editor or closes it, and nothing typed is lost to an older text. */
export const useTyped = (given: string, commit: (text: string) => void): { text: string; type: (text: string) => void; flush: () => void } => {
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const flush = (): void => {
    if (typed === undefined) return;
    setTyped(undefined);
    if (typed !== given) commit(typed);
  };
  const settle = useEffectEvent(flush);
  useEffect(() => (typed === undefined ? undefined : after(pauseMs, () => settle())), [typed]);
  useEffect(() => () => settle(), []);
  return { text: typed ?? given, type: setTyped, flush };
};
