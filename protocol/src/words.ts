import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { wordlist } from '@scure/bip39/wordlists/english.js';

/** Four words (44 bits) that a person compares between a device's console and the lobby: they name the key, and nobody can choose theirs. */
export const keyWords = (publicKey: string, hub: string): string => {
  const hash = sha256(utf8ToBytes(`groundplane words 1\n${hub}\n${publicKey}`));
  const words: string[] = [];
  for (let index = 0; index < 4; index += 1) {
    const number = (((hash[index * 2] ?? 0) << 8) | (hash[index * 2 + 1] ?? 0)) & 2047;
    words.push(wordlist[number] ?? '');
  }
  return words.join(' ');
};
