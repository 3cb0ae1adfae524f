import { openSqliteStore } from '@groundplane/agent/store/sqlite';

/** Commits numbers for ever, in three tables at once, and says each number only after it was acknowledged. Its end is a kill. */
const store = openSqliteStore(process.argv[2] ?? '');
let number = Number(store.get('kv', 'number') ?? 0);
process.stdout.write(`from ${number}\n`);
const next = (): void => {
  for (let turn = 0; turn < 20; turn += 1) {
    number += 1;
    const text = String(number);
    const done = store.commit([
      { table: 'kv', key: 'number', value: text },
      { table: 'journal', key: text.padStart(16, '0'), value: 'x'.repeat(number % 5_000) },
      { table: 'content', key: 'blob', value: text.repeat(100) },
      { table: 'journal', key: String(number - 200).padStart(16, '0'), value: null },
    ]);
    if (!done.ok) throw new Error(done.failure.message);
    process.stdout.write(`${text}\n`);
  }
  setImmediate(next);
};
next();
