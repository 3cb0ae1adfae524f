import type { ReactElement } from 'react';
import { useQuery } from '@tanstack/react-query';
import { usedPercent, type Vitals } from '@groundplane/protocol/ask';
import type { HostVitalsView } from '@groundplane/protocol/api/site-routes';
import type { HostView } from '@groundplane/protocol/api/views';
import { limits } from '@groundplane/protocol/limits';
import { vitalsQuery } from '../api/queries-places.ts';
import { Answer, Card } from '../parts/page.tsx';
import { Age } from '../parts/text.tsx';
import { useScope } from '../scope.ts';
import { byteSize, duration, useNow } from '../time.ts';

interface Gauge {
  name: string;
  percent: number;
  text: string;
  /** From here on it is worth a look. */
  high: number;
}

/** What can be full, in the order in which it is looked for. */
export const gaugesOf = (vitals: Vitals): Gauge[] => [
  { name: 'Processor', percent: Math.round(vitals.cpuPercent), text: `${Math.round(vitals.cpuPercent)} %, load ${vitals.load1}`, high: 95 },
  {
    name: 'Memory',
    percent: usedPercent(vitals.memory),
    text: `${usedPercent(vitals.memory)} % of ${byteSize(vitals.memory.totalBytes)}`,
    high: 90,
  },
  ...vitals.disks.map((disk) => ({
    name: `Disk ${disk.path}`,
    percent: usedPercent(disk),
    text: `${usedPercent(disk)} % of ${byteSize(disk.totalBytes)}, ${byteSize(disk.availableBytes)} free`,
    high: 85,
  })),
];

const Known = ({ told, vitals }: { told: HostVitalsView; vitals: Vitals }): ReactElement => {
  const now = useNow();
  const isOld = told.asOfMs !== undefined && now - told.asOfMs > limits.vitalsOldMs;
  return (
    <div className={isOld || told.state === 'last' ? 'vitals old' : 'vitals'}>
      {gaugesOf(vitals).map((gauge) => (
        <div key={gauge.name} className={gauge.percent >= gauge.high ? 'gauge high' : 'gauge'}>
          <span>
            <bdi>{gauge.name}</bdi>
          </span>
          <span>
            {gauge.text}
            {gauge.percent >= gauge.high && <strong> high</strong>}
          </span>
          <progress aria-label={gauge.name} max={100} value={gauge.percent} />
        </div>
      ))}
      <p>
        Up for {duration(vitals.uptimeMs)}
        {vitals.temperature !== undefined && `, ${vitals.temperature} °C`}.{' '}
        <span className="quiet">
          As of <Age atMs={told.asOfMs} />
          {told.state === 'last' && told.why !== undefined && (
            <>
              : the host <bdi>{told.why.message}</bdi>
            </>
          )}
          .
        </span>
      </p>
    </div>
  );
};

/** How the machine does: asked of it while somebody looks, and otherwise the last known with its age. */
export const VitalsCard = ({ host }: { host: HostView }): ReactElement => {
  const { project } = useScope();
  const vitals = useQuery(vitalsQuery(project, host.name, host.online));
  return (
    <Card title="Vitals">
      <Answer of={vitals} what="vitals">
        {(told) =>
          told.vitals === undefined ? (
            <p className="quiet">
              Nothing is known: the host <bdi>{told.why?.message ?? 'told nothing'}</bdi>.
            </p>
          ) : (
            <Known told={told} vitals={told.vitals} />
          )
        }
      </Answer>
    </Card>
  );
};
