import { emptyWish, imageCommands, sshCommands, userDataText } from '../../hub/dashboard/src/model/device-guide.ts';
import { readUserData } from '@groundplane/protocol/user-data/read';
import { expect, test } from 'vitest';

test('what the page writes is user data that a device takes without a word', () => {
  const wish = {
    name: 'till-7',
    disk: 'auto',
    nic: 'eth0',
    address: '10.0.0.17/24',
    gateway: '10.0.0.1',
    dns: '10.0.0.2, 10.0.0.3',
    sshKey: 'ssh-ed25519 AAAA you@desk',
  };
  const read = readUserData(userDataText(wish));
  expect(read.findings).toEqual([]);
  expect(read.config).toMatchObject({
    hostname: 'till-7',
    network: { interfaces: { eth0: { addresses: ['10.0.0.17/24'], gateway: '10.0.0.1', dns: ['10.0.0.2', '10.0.0.3'] } } },
    users: [{ name: 'operator', sshKeys: ['ssh-ed25519 AAAA you@desk'] }],
    install: { device: 'auto' },
  });
});

test('nothing typed is nothing said', () => expect(readUserData(userDataText(emptyWish)).findings).toEqual([]));

test('typed text stays text', () => {
  const read = readUserData(userDataText({ ...emptyWish, name: 'a"\nusers: []' }));
  expect(read.findings.map((finding) => finding.message).join()).toContain('host name');
});

test('the commands name the device', () => {
  expect(imageCommands('till-7')).toContain('--out till-7.img');
  expect(sshCommands('till-7')).toContain('--name till-7');
  expect(imageCommands("a'; rm -rf ~")).toContain(`--out 'a'\\''; rm -rf ~.img' --ticket`);
  expect(imageCommands('')).toContain('flash device.img /dev/sdX');
});
