import { createServer, type Server } from 'node:http';

/** What the kubelet asks. `alive`: the process answers. `ready`: this pod acts and its hub answers, which a pod that waits for its turn also counts as. */
export const openProbe = async (port: number, isReady: () => boolean): Promise<{ close: () => void }> => {
  const server: Server = createServer((request, response) => {
    const isGood = request.url === '/healthz' || (request.url === '/readyz' && isReady());
    response.writeHead(isGood ? 200 : 503, { 'content-type': 'text/plain' }).end(isGood ? 'ok\n' : 'not ready\n');
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(port, listening.resolve);
  await listening.promise;
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
