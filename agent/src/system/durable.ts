import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes the names in a folder durable. */
export const syncFolder = (path: string): void => {
  const handle = openSync(path, 'r');
  fsyncSync(handle);
  closeSync(handle);
};

/** Writes a small file so that a power cut leaves the old one or the new one. False when the disk does not take it. */
export const writeDurably = (file: string, text: string): boolean => {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const handle = openSync(`${file}.new`, 'w');
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(`${file}.new`, file);
    syncFolder(dirname(file));
    return true;
  } catch {
    return false;
  }
};

/** A secret that need not survive a power cut, readable by its owner from its first byte on. False when the disk does not take it. */
export const writeSecretly = (file: string, text: string): boolean => {
  try {
    rmSync(`${file}.new`, { force: true });
    writeFileSync(`${file}.new`, text, { mode: 0o600, flag: 'wx' });
    renameSync(`${file}.new`, file);
    return true;
  } catch {
    return false;
  }
};
