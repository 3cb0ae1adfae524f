/** What Node's parseArgs says about a wrong option, without its advice on arguments that begin with a dash. */
export const optionWords = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/\. To specify a positional argument[\s\S]*$/, '') : String(error);

/** A port from 0 (any) to 65535; undefined for everything else. */
export const parsePort = (text: string): number | undefined => (/^\d{1,5}$/.test(text) && Number(text) < 65_536 ? Number(text) : undefined);
