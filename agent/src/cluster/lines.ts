/** Cuts a byte stream into lines without ever holding more than one line. */
export interface LineSplitter {
  /** Feeds a chunk; every complete line goes to `onLine`. False when a line is longer than allowed; the splitter is then unusable. */
  push(chunk: Buffer): boolean;
}

const newline = 10;

/** Lines are UTF-8 and end with `\n`; `onLine` returns false to stop early, which `push` passes on. */
export const lineSplitter = (lineBytesMax: number, onLine: (line: string) => boolean): LineSplitter => {
  let parts: Buffer[] = [];
  let bytes = 0;
  return {
    push: (chunk) => {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(newline, start);
        const piece = chunk.subarray(start, end < 0 ? undefined : end);
        bytes += piece.length;
        if (bytes > lineBytesMax) return false;
        if (piece.length > 0) parts.push(piece);
        if (end < 0) return true;
        // Decoded as a whole, so that a character split over two chunks stays whole.
        const line = Buffer.concat(parts, bytes).toString('utf8');
        parts = [];
        bytes = 0;
        if (line.trim() !== '' && !onLine(line)) return false;
        start = end + 1;
      }
    },
  };
};
