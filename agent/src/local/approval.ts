/** This machine's own names: a phone that followed them would ask itself. */
const isLoopback = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || host.startsWith('127.');

/**
 * Where somebody with a phone lets this device in: the hub's page for its key. Undefined when the hub's address means something on this machine only. The key
 * is public; whoever reads the address still has to log in, and compares the words.
 */
export const approvalAddress = (hubUrl: string, publicKey: string): string | undefined => {
  const hub = URL.parse(hubUrl);
  if (hub === null || !['http:', 'https:'].includes(hub.protocol) || isLoopback(hub.hostname)) return undefined;
  const page = new URL('/approve', hub.origin);
  page.searchParams.set('key', publicKey);
  return page.href;
};

let drawn: { address: string; svg: string } | undefined;

/** The address as a QR code, an SVG of plain shapes. What draws it is loaded by the first person who looks; an approved device never needs it. */
export const approvalCode = async (address: string): Promise<string> => {
  if (drawn?.address === address) return drawn.svg;
  const { drawCode } = await import('./code.ts');
  drawn = { address, svg: drawCode(address) };
  return drawn.svg;
};
