import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentArch } from '@groundplane/protocol/agent-package';

/**
 * A machine with UEFI in QEMU, without hardware help: every processor of a CI has room for it. Programs come from the tools that build images.
 */
export interface MachineOptions {
  /** Root with QEMU and its firmware in it. */
  tools: string;
  /** Its processor; by default x64. */
  arch?: AgentArch;
  /** Everything it reads and writes lies below this folder. */
  folder: string;
  disks: readonly string[];
  memoryMiB: number;
  processors?: number;
  hasNetwork?: boolean;
}

export interface VirtualMachine {
  /** What it wrote to its serial console, without control characters. */
  console: () => string;
  waitFor: (what: string, pattern: RegExp, timeoutMs: number) => Promise<RegExpExecArray>;
  cpuSeconds: () => number;
  isRunning: () => boolean;
  exited: Promise<void>;
  /** The power goes. */
  kill: () => Promise<void>;
}

/** A plain machine of each architecture: program and board, and the firmware with the file for its variables. */
const boards: Readonly<Record<AgentArch, { qemu: string; code: string; variables: string }>> = {
  x64: {
    qemu: 'qemu-system-x86_64 -machine q35 -cpu Nehalem',
    code: '/usr/share/OVMF/OVMF_CODE_4M.fd',
    variables: 'usr/share/OVMF/OVMF_VARS_4M.fd',
  },
  arm64: {
    qemu: 'qemu-system-aarch64 -machine virt -cpu cortex-a72',
    code: '/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd',
    variables: 'usr/share/AAVMF/AAVMF_VARS.fd',
  },
};

const ticksPerSecond = 100;

/** The whole group of one machine: QEMU and what waits for it. */
const cpuOf = (pid: number): number => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return 0;
  }
};

const enter = `set -e
tools=$1; folder=$2; shift 2
mount --bind "$tools" "$tools"
mount -t proc proc "$tools/proc"
mount --rbind /dev "$tools/dev"
mount -t tmpfs tmpfs "$tools/tmp"
mkdir -p "$tools$folder"
mount --rbind "$folder" "$tools$folder"
exec chroot "$tools" "$@"`;

const controls = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[A-Za-z]|\\r`, 'g');

export const startMachine = async (options: MachineOptions): Promise<VirtualMachine> => {
  const { tools, folder, disks, memoryMiB } = options;
  const board = boards[options.arch ?? 'x64'];
  const [variables, log] = [join(folder, 'variables.fd'), join(folder, 'console.log')];
  // Where the firmware keeps its variables; they belong to the machine and survive its starts.
  if (!existsSync(variables)) await copyFile(join(tools, board.variables), variables);
  const before = existsSync(log) ? readFileSync(log, 'utf8').length : 0;
  const flash = (unit: number, file: string, more = ''): string[] => ['-drive', `if=pflash,format=raw,unit=${unit},file=${file}${more}`];
  const fixed = `${board.qemu} -accel tcg,thread=multi,tb-size=256 -display none -no-user-config -nodefaults -monitor none -device virtio-rng-pci`;
  const network = options.hasNetwork === false ? '-nic none' : '-netdev user,id=n0 -device virtio-net-pci,netdev=n0,romfile=';
  const words = `${fixed} ${network} -smp ${options.processors ?? 1} -m ${memoryMiB} -serial chardev:serial`.split(' ');
  const drives = disks.flatMap((file, index) => [
    '-drive',
    `file=${file},format=raw,if=none,id=d${index},cache=unsafe`,
    '-device',
    `virtio-blk-pci,drive=d${index},serial=disk-${index},bootindex=${index + 1}`,
  ]);
  const firmware = [...flash(0, board.code, ',readonly=on'), ...flash(1, variables)];
  const argv = [...words, ...firmware, ...drives, '-chardev', `file,id=serial,path=${log},append=on`];
  const child: ChildProcess = spawn('nice', ['-n', '5', 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh', tools, folder, ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2_000)));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let cpu = 0;
  const measured = (): number => (cpu = Math.max(cpu, cpuOf(child.pid ?? 0)));
  const watch = setInterval(measured, 1_000);
  void exited.then(() => clearInterval(watch));
  const seen = (): string => (existsSync(log) ? readFileSync(log, 'utf8').slice(before).replaceAll(controls, '') : '');
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    console: seen,
    isRunning,
    exited,
    cpuSeconds: measured,
    waitFor: async (what, pattern, timeoutMs) => {
      for (const end = performance.now() + timeoutMs; ;) {
        const found = pattern.exec(seen());
        if (found !== null) return found;
        if (!isRunning()) throw new Error(`${what}: the machine has stopped: ${errors}\n${seen().slice(-2_000)}`);
        if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s\n${seen().slice(-3_000)}`);
        await delay(250);
      }
    },
    kill: async () => {
      measured();
      if (isRunning()) child.kill('SIGKILL');
      await exited;
    },
  };
};
