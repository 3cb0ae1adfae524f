import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isRequired } from '../../lab/prerequisite.ts';
import { missingForMoto } from './start.ts';

const missing = await missingForMoto();
const isRunning = missing.length === 0 || isRequired('moto');

const isListening = async (port: number): Promise<boolean> => {
  const socket = createConnection({ host: '127.0.0.1', port });
  const is = await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
  socket.destroy();
  return is;
};

test.skipIf(!isRunning)(
  `moto ends with the process that started it, also when that is killed${isRunning ? '' : ` (skipped: ${missing.join(' ')})`}`,
  { timeout: 600_000 },
  async () => {
    const program = `
    const { startMoto } = await import(${JSON.stringify(join(import.meta.dirname, 'start.ts'))});
    const moto = await startMoto();
    console.log(moto.ok ? new URL(moto.value.url).port : JSON.stringify(moto));
    setInterval(() => undefined, 60_000);
  `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      expect(line).toMatch(/^\d+$/);
      expect(await isListening(Number(line))).toBe(true);
      child.kill('SIGKILL');
      while (await isListening(Number(line))) await sleep(50);
    } finally {
      child.kill('SIGKILL');
    }
  },
);
