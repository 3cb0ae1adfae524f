import { createContext, useContext } from 'react';
import type { Permission } from '@groundplane/protocol/access';
import type { WhoView } from '@groundplane/protocol/api/views';
import { whyNot } from './model/allowed.ts';

interface InScope {
  project: string;
  who: WhoView;
}

const Context = createContext<InScope | undefined>(undefined);
export const Scope = Context.Provider;

/** Whose page and which project it is. Every screen below the shell has both. */
export const useScope = (): InScope & { /** Why I may not, or undefined. */ whyNot: (permission: Permission) => string | undefined } => {
  const scope = useContext(Context);
  if (scope === undefined) throw new Error('a screen is used outside of a project');
  return { ...scope, whyNot: (permission) => whyNot(scope.who, permission, scope.project) };
};
