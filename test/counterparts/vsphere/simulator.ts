import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { acquireLock, buildProgram, cacheRoot } from '../../lab/build.ts';
import { isGoEnough } from '../../lab/prerequisite.ts';
import type { Program } from '../../lab/recipe.ts';

/** Not the newest: from 0.37 on (seen up to 0.52) a clone loses the extraConfig that came with it, which no vCenter does. */
export const simulatorVersion = 'v0.30.7';
/** What govmomi's own go.mod asks for. */
const goMin = '1.19';
const element = 'vSphere counterpart';
const startMsMax = 60_000;
const account = { user: 'groundplane@vsphere.local', password: 'counterpart-only <&>' };

/** A vCenter of one datacenter, one cluster, one single host. It ends with its standard input, also when the test dies. */
const main = `package main

import (
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	model := simulator.VPX()
	if err := model.Create(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Tasks take a while, as they do; set after the model's own were done.
	simulator.TaskDelay = simulator.DelayConfig{Delay: 15}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(os.Getenv("SIMULATOR_USER"), os.Getenv("SIMULATOR_PASSWORD"))}
	server := model.Service.NewServer()
	fmt.Println("http://" + server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Close()
	model.Remove()
}
`;

const program: Program = { name: 'vcsim', module: 'github.com/vmware/govmomi', version: simulatorVersion, package: '.', main, stamp: () => [] };
const folder = (): string =>
  join(
    cacheRoot(),
    'vsphere',
    digestBytes(JSON.stringify([process.platform, process.arch, program, main]))
      .replace(/^sha256:/, '')
      .slice(0, 16),
  );

const goVersion = async (): Promise<string | undefined> =>
  await new Promise((resolve) => {
    const child = spawn('go', ['env', 'GOVERSION'], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 20_000 });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', () => resolve(undefined));
    child.on('close', (code) => resolve(code === 0 ? output.trim().replace(/^go/, '') : undefined));
  });

/** What this machine lacks, one sentence each. A simulator that is already built needs nothing. */
export const missingForSimulator = async (): Promise<string[]> => {
  if (existsSync(join(folder(), program.name))) return [];
  const version = await goVersion();
  if (version === undefined) return [`Go ${goMin} or newer is not installed (no "go" in PATH); govmomi's simulator is built from its Go module.`];
  return isGoEnough(version, goMin) ? [] : [`Go ${version} is too old; govmomi's simulator needs ${goMin} or newer.`];
};

/** Built on the first call (a minute), from the module proxy; answers at once afterwards. */
const ensureSimulator = async (): Promise<Result<string>> => {
  const target = folder();
  const binary = join(target, program.name);
  if (existsSync(binary)) return ok(binary);
  const missing = await missingForSimulator();
  if (missing.length > 0) return fail('blocked', 'counterpart-unavailable', element, missing.join(' '));
  const lock = await acquireLock(`groundplane-vsphere-${target}`.slice(0, 100), () => undefined);
  if (!lock.ok) return lock;
  const staging = join(cacheRoot(), 'vsphere', `.building-${randomUUID()}`);
  const work = join(tmpdir(), `groundplane-vsphere-${randomUUID()}`);
  try {
    if (existsSync(binary)) return ok(binary);
    await mkdir(staging, { recursive: true });
    const built = await buildProgram(program, work, staging);
    if (!built.ok) return built;
    await chmod(join(staging, program.name), 0o755);
    await rm(target, { recursive: true, force: true });
    await rename(staging, target);
    return ok(binary);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(staging, { recursive: true, force: true });
    lock.value();
  }
};

export interface Simulator {
  url: string;
  user: string;
  password: string;
  stop(): Promise<void>;
}

export const startSimulator = async (): Promise<Result<Simulator>> => {
  const binary = await ensureSimulator();
  if (!binary.ok) return binary;
  const environment = { ...process.env, SIMULATOR_USER: account.user, SIMULATOR_PASSWORD: account.password };
  const child = spawn(binary.value, [], { stdio: ['pipe', 'pipe', 'pipe'], env: environment });
  const gone = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let [output, words] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.includes('\n')) resolve(output.split('\n')[0]);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4_096)));
  child.stdin.on('error', () => undefined);
  child.on('error', () => resolve(undefined));
  void gone.then(() => resolve(undefined));
  const late = setTimeout(() => resolve(undefined), startMsMax);
  const url = await promise;
  clearTimeout(late);
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const killed = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killed);
  };
  if (url === undefined) {
    await stop();
    return fail('retry', 'counterpart-not-started', element, `it did not start: ${words.trim().split('\n').slice(-4).join('\n')}`);
  }
  return ok({ url, ...account, stop });
};
