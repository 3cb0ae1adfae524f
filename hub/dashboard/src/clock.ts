/** The page's only source of time; everything else takes times as arguments. */
export const nowMs = (): number => Date.now();

/** Runs once after `delayMs` (at most a day); returns a function that takes it back. */
export const after = (delayMs: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, Math.min(delayMs, 86_400_000));
  return () => clearTimeout(timer);
};

export const every = (periodMs: number, run: () => void): (() => void) => {
  const timer = setInterval(run, periodMs);
  return () => clearInterval(timer);
};
