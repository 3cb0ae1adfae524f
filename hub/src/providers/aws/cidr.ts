/** IPv4 networks as numbers. */
export interface Block {
  start: number;
  /** Addresses in it. */
  size: number;
}

export const blockOf = (cidr: string): Block => {
  const [address = '', prefix = '32'] = cidr.split('/');
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(prefix));
  return { start: Math.floor(value / size) * size, size };
};
const textOf = ({ start, size }: Block): string => `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')}/${32 - Math.log2(size)}`;
export const overlaps = (one: Block, other: Block): boolean => one.start < other.start + other.size && other.start < one.start + one.size;
export const contains = (cidr: string, address: string): boolean => overlaps(blockOf(cidr), blockOf(`${address}/32`));

/** AWS allows networks and subnets from /16 to /28. A sixteenth of the network for each subnet leaves room for eight zones with two each. */
export const freeBlocks = (network: string, taken: readonly string[]): string[] => {
  const whole = blockOf(network);
  const size = Math.max(16, whole.size / 16);
  const used = taken.map(blockOf);
  const blocks = Array.from({ length: Math.floor(whole.size / size) }, (_, index) => ({ start: whole.start + index * size, size }));
  return blocks.filter((block) => !used.some((other) => overlaps(block, other))).map(textOf);
};
