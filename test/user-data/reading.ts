import { findingText } from '@groundplane/protocol/finding';
import { readUserData } from '@groundplane/protocol/user-data/read';
import type { UserData } from '@groundplane/protocol/user-data/schema';

export const good = (text: string): UserData => {
  const read = readUserData(text);
  if (read.config === undefined) throw new Error(read.findings.map(findingText).join('\n'));
  return read.config;
};
export const told = (text: string): string[] => readUserData(text).findings.map(findingText);
export const errors = (text: string): string[] =>
  readUserData(text)
    .findings.filter((finding) => finding.severity === 'error')
    .map(findingText);
