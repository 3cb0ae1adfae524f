import type { Route } from './descriptions.ts';
import { Refused, type Store } from './store.ts';

export const answerContainer = (_store: Store, route: Route, path: string, _body: Record<string, unknown>): unknown => {
  throw new Refused(501, 'UNIMPLEMENTED', `${route.method} ${path}`);
};
