import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { isRequired } from '../lab/prerequisite.ts';
import { ensureVirtualenv, missingForVirtualenv } from './virtualenv.ts';

const msMax = 120_000;
const outputKeptMax = 256 * 1_024;

/**
 * Runs a small script of ours with a vendor's own Python client, and answers the JSON that it prints. `counterpart-unavailable`: this machine cannot have the
 * client, and nobody demanded it (GROUNDPLANE_TEST_REQUIRE=python).
 */
export const runVendorClient = async (name: string, folder: string, script: string, args: readonly string[]): Promise<Result<unknown>> => {
  const missing = await missingForVirtualenv(name, [3, 11]);
  const installed =
    missing.length > 0 ? fail('blocked', 'counterpart-no-venv', name, missing.join(' ')) : await ensureVirtualenv(name, join(folder, 'requirements.txt'));
  if (!installed.ok) return isRequired('python') ? installed : fail('blocked', 'counterpart-unavailable', name, installed.failure.message);
  return await new Promise((resolve) => {
    const child = spawn(join(installed.value, 'bin/python'), [join(folder, script), ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: msMax });
    let [output, words] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => void (output = (output + text).slice(-outputKeptMax)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (words = (words + text).slice(-outputKeptMax)));
    child.on('error', (error) => resolve(fail('blocked', 'vendor-client-failed', name, error.message)));
    child.on('close', (code) =>
      resolve(code === 0 ? ok(JSON.parse(output) as unknown) : fail('blocked', 'vendor-client-failed', name, `it ended with ${code}:\n${words.slice(-2_000)}`)),
    );
  });
};
