import { CSPProvider } from '@base-ui/react/csp-provider';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { keys } from './api/queries.ts';
import { pageNonce } from './nonce.ts';
import { startTheme } from './theme.ts';

startTheme();

const client: QueryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The stream says what changed, so time alone makes nothing stale.
      staleTime: 30_000,
      retry: (count, error) => error.kind === 'retry' && count < 2,
      refetchOnWindowFocus: false,
    },
  },
  queryCache: new QueryCache({
    onError: (error, query) => {
      // A session that ended shows first where data is read; asking who I am leads to the login.
      if (error.status === 401 && query.queryKey[0] !== keys.who[0]) void client.invalidateQueries({ queryKey: keys.who });
    },
  }),
});

const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root element');
createRoot(root).render(
  <StrictMode>
    <CSPProvider nonce={pageNonce()}>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
