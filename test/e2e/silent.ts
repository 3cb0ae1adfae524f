import { createServer, type AddressInfo, type Socket } from 'node:net';

/** Takes every connection, and never says a word. */
export const startSilent = async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', () => listening.resolve());
  await listening.promise;
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard: (): number => sockets.size,
    close: (): void => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
};
