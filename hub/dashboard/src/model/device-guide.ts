/** What a device is told besides its ticket, as a person types it; empty text says nothing. */
export interface DeviceWish {
  name: string;
  /** With its prefix: `10.0.0.17/24`; empty: by DHCP. */
  address: string;
  gateway: string;
  dns: string;
  /** Interface that the address is for. */
  nic: string;
  sshKey: string;
  /** Disk to install to; empty: it runs from where it was started. */
  disk: string;
}

export const emptyWish: DeviceWish = { name: '', address: '', gateway: '', dns: '', nic: 'eth0', sshKey: '', disk: '' };

/** One word of a shell, whatever was typed. */
const shellWord = (text: string): string => (/^[A-Za-z0-9._/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** First-boot data for `installer customize`, in JSON's part of YAML, so that no typed text can mean anything else. */
export const userDataText = (wish: DeviceWish): string => {
  const network =
    wish.address.trim() === ''
      ? undefined
      : {
          interfaces: {
            [wish.nic.trim()]: {
              addresses: [wish.address.trim()],
              ...(wish.gateway.trim() === '' ? {} : { gateway: wish.gateway.trim() }),
              ...(words(wish.dns).length === 0 ? {} : { dns: words(wish.dns) }),
            },
          },
        };
  const data = {
    ...(wish.name.trim() === '' ? {} : { hostname: wish.name.trim() }),
    ...(network === undefined ? {} : { network }),
    ...(wish.sshKey.trim() === '' ? {} : { users: [{ name: 'operator', groups: ['sudo'], sshKeys: [wish.sshKey.trim()] }] }),
    ...(wish.disk.trim() === '' ? {} : { install: { device: wish.disk.trim() } }),
  };
  return `#cloud-config\n${JSON.stringify({ groundplane: data }, null, 2)}\n`;
};

/** Commands for somebody who has the agent's package. */
export const packageCommands = (): string =>
  [
    '# on the host, in the folder of the unpacked agent package, with the ticket in the file "ticket"',
    'sudo sh install.sh --key groundplane.pub.pem --ticket ticket',
  ].join('\n');

export const sshCommands = (name: string): string =>
  [
    '# from your machine, with the ticket in the file "ticket"',
    `npm run installer -- agent --ssh root@HOST --packages release --key groundplane.pub.pem --ticket ticket${name.trim() === '' ? '' : ` --name ${shellWord(name.trim())}`}`,
  ].join('\n');

export const imageCommands = (name: string): string => {
  const out = shellWord(`${name.trim() === '' ? 'device' : name.trim()}.img`);
  return [
    '# with the ticket in the file "ticket" and what is below in "user-data.yaml"',
    `npm run installer -- customize IMAGE.img --out ${out} --ticket @ticket --user-data user-data.yaml`,
    `npm run installer -- flash ${out} /dev/sdX      # the stick or disk; it says what would be lost, and writes with --yes`,
  ].join('\n');
};
