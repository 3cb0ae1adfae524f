import type Database from 'better-sqlite3';

/** One entry per schema version, applied in order and never edited once released. */
const migrations: readonly string[] = [
  `CREATE TABLE rows (
     kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL, lookup TEXT,
     version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, value TEXT NOT NULL,
     PRIMARY KEY (kind, tenant, id)
   );
   CREATE UNIQUE INDEX rows_by_name ON rows (kind, tenant, project, name) WHERE kind NOT IN ('desired', 'observed', 'presence', 'director', 'session');
   CREATE UNIQUE INDEX rows_by_lookup ON rows (kind, lookup) WHERE lookup IS NOT NULL;
   CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, project TEXT NOT NULL, cluster TEXT, host TEXT, value TEXT NOT NULL);
   CREATE INDEX events_by_cluster ON events (tenant, project, cluster, seq);
   CREATE INDEX events_by_host ON events (tenant, project, host, seq);`,
];

/** Brings a database to this build's schema. A newer one is refused, since an older hub would lose what it does not know. */
export const migrate = (database: Database.Database): void => {
  const have = database.pragma('user_version', { simple: true }) as number;
  if (have > migrations.length)
    throw new Error(`the database has schema ${have}, and this hub knows up to ${migrations.length}: start the newer hub, or restore a backup`);
  for (let next = have; next < migrations.length; next += 1) {
    database
      .transaction(() => {
        database.exec(migrations[next] ?? '');
        database.pragma(`user_version = ${next + 1}`);
      })
      .immediate();
  }
};
