import process from 'node:process';
import { ensureContent } from './content.ts';
import { releases, type KubernetesVersion } from './recipe.ts';

/** `cli.ts content [VERSION]`: builds what the test hosts need of a Kubernetes version once, and says where it is. */
const [command, version = 'v1.37.2'] = process.argv.slice(2);
if (command === 'content' && version in releases) {
  const made = await ensureContent(version as KubernetesVersion, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(made.ok ? `${made.value}\n` : '');
  if (!made.ok) process.stderr.write(`${made.failure.element}: ${made.failure.message}\n`);
  process.exitCode = made.ok ? 0 : 1;
} else {
  process.stderr.write(`usage: cli.ts content [${Object.keys(releases).join('|')}]\n`);
  process.exitCode = 2;
}
