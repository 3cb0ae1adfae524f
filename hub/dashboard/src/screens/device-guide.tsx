import { useState, type ReactElement } from 'react';
import { emptyWish, imageCommands, packageCommands, sshCommands, userDataText, type DeviceWish } from '../model/device-guide.ts';
import { CopyButton } from '../parts/copy.tsx';
import { Tabs } from '../parts/tabs.tsx';

type Way = 'image' | 'package' | 'ssh';

const ways = [
  { key: 'image' as const, text: 'Flash an image' },
  { key: 'package' as const, text: 'On a Linux host' },
  { key: 'ssh' as const, text: 'Over ssh' },
];

const Commands = ({ text, label }: { text: string; label: string }): ReactElement => (
  <>
    <pre className="ticket" tabIndex={0} aria-label={label}>
      {text}
    </pre>
    <div className="row end">
      <CopyButton text={text} label={`Copy ${label}`} />
    </div>
  </>
);

const fields: readonly { key: keyof DeviceWish; text: string; placeholder: string }[] = [
  { key: 'name', text: 'Host name', placeholder: 'till-7' },
  { key: 'disk', text: 'Disk to install to; empty: it runs from the stick', placeholder: '/dev/nvme0n1 or auto' },
  { key: 'nic', text: 'Network interface', placeholder: 'eth0' },
  { key: 'address', text: 'Its address with prefix; empty: by DHCP', placeholder: '10.0.0.17/24' },
  { key: 'gateway', text: 'Gateway', placeholder: '10.0.0.1' },
  { key: 'dns', text: 'Name servers', placeholder: '10.0.0.2' },
  { key: 'sshKey', text: 'SSH key of the account "operator"; empty: no account', placeholder: 'ssh-ed25519 AAAA… you@desk' },
];

const Image = ({ wish, set }: { wish: DeviceWish; set: (wish: DeviceWish) => void }): ReactElement => (
  <>
    {fields.map(({ key, text, placeholder }) => (
      <label key={key}>
        {text}
        <input value={wish[key]} placeholder={placeholder} onChange={(event) => set({ ...wish, [key]: event.target.value })} />
      </label>
    ))}
    <Commands text={userDataText(wish)} label="user data" />
    <Commands text={imageCommands(wish.name)} label="commands" />
  </>
);

/** What to do with a ticket, from the first stick to a host that knocks. The commands run where the images and packages are, not in the browser. */
export const DeviceGuide = (): ReactElement => {
  const [way, setWay] = useState<Way>('image');
  const [wish, setWish] = useState(emptyWish);
  return (
    <div className="stack">
      <Tabs label="How the device comes in" tabs={ways} chosen={way} choose={setWay} />
      {way === 'image' && <Image wish={wish} set={setWish} />}
      {way === 'package' && <Commands text={packageCommands()} label="commands" />}
      {way === 'ssh' && <Commands text={sshCommands(wish.name)} label="commands" />}
    </div>
  );
};
