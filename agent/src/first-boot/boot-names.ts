import { basename } from 'node:path';
import { doneFile, installedFile } from './install.ts';

/** People write these files by hand as well, and editors add an ending of their own. The first that is there counts. */
const userDataNames = ['user-data', 'user-data.yaml', 'user-data.yml', 'user-data.txt', 'user-data.yaml.txt', 'user-data.yml.txt'];
const ticketNames = ['ticket', 'ticket.txt'];
const ours = new Set([installedFile, doneFile].map((path) => basename(path)));

export interface BootNames {
  userData: string | undefined;
  ticket: string | undefined;
  /** What somebody may have meant and nobody reads. */
  unread: string[];
}

/** Which files of `groundplane` on the boot partition are meant. FAT gives names back in any case. Pure. */
export const bootNames = (files: readonly string[]): BootNames => {
  const pick = (names: readonly string[]): string | undefined => names.flatMap((name) => files.filter((file) => file.toLowerCase() === name))[0];
  const [userData, ticket] = [pick(userDataNames), pick(ticketNames)];
  return { userData, ticket, unread: files.filter((file) => file !== userData && file !== ticket && !ours.has(file.toLowerCase()) && !file.startsWith('.')) };
};
