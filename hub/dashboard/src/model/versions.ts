const parts = (version: string): { numbers: number[]; pre: string[] } => {
  const [core = '', pre = ''] = (version.split('+')[0] ?? '').split(/-(.*)/s);
  return { numbers: core.split('.').map(Number), pre: pre === '' ? [] : pre.split('.') };
};

const comparePre = (a: readonly string[], b: readonly string[]): number => {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const [isLeft, isRight] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isLeft && isRight && Number(left) !== Number(right)) return Number(left) - Number(right);
    if (isLeft !== isRight) return isLeft ? -1 : 1;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
};

/** Precedence of Semantic Versioning 2.0.0, section 11; older first. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < 3; index += 1) {
    const difference = (left.numbers[index] ?? 0) - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return comparePre(left.pre, right.pre);
};

/** The version that a fix would get: `1.4.2` → `1.4.3`, and a pre-release becomes its release. */
export const nextPatch = (version: string): string => {
  const { numbers, pre } = parts(version);
  const [major = 0, minor = 0, patch = 0] = numbers.map((number) => (Number.isFinite(number) ? number : 0));
  return `${major}.${minor}.${pre.length > 0 ? patch : patch + 1}`;
};
