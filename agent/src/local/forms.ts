import { escapeHtml, row } from './html.ts';
import { logUnits, type Control, type LogUnit } from './control.ts';
import type { Caller } from './guard.ts';

/** The hidden field that says a form is of our own page. */
const token = (caller: Caller): string => `<input type="hidden" name="csrf" value="${caller.kind === 'person' ? caller.csrf : ''}">`;

export const loginBody = (message: string | undefined): string =>
  `<h1>Log in</h1>${message === undefined ? '' : `<p class="note" role="alert">${escapeHtml(message)}</p>`}
<form method="post" action="/login"><label>Password of this device <input type="password" name="password" autocomplete="current-password" required autofocus></label><button>Log in</button></form>
<p>Nobody knows it? On the device, as root: <code>groundplane-agent local-password</code></p>`;

const importText = (control: Control): string => {
  const now = control.importer.status();
  switch (now.state) {
    case 'idle':
      return '<p>Nothing was imported since the agent started.</p>';
    case 'running':
      return `<p role="status">Importing from <code>${escapeHtml(now.folder)}</code>…</p>`;
    case 'failed':
      return `<p class="note" role="alert">The import from <code>${escapeHtml(now.folder)}</code> failed: ${escapeHtml(now.message)}</p>`;
    case 'done': {
      const { folder, acceptance, generation, blobs, bytes, images, receipt } = now.result;
      const what =
        acceptance === 'nothing'
          ? 'It says nothing about what this host should be.'
          : acceptance.accept === 'new'
            ? `Generation ${generation ?? 0} is taken up now.`
            : `Generation ${generation ?? 0} changes nothing here (${acceptance.accept}).`;
      return `<p role="status">From <code>${escapeHtml(folder)}</code>: ${blobs} blobs of ${bytes} bytes, ${images} images. ${escapeHtml(what)} ${receipt === undefined ? 'The medium took no receipt.' : `The receipt is ${escapeHtml(receipt)}; carry the medium back.`}</p>`;
    }
    default:
      return now satisfies never;
  }
};

export const mediaBody = async (control: Control, caller: Caller, message: string | undefined): Promise<string> => {
  const found = await control.importer.found();
  const buttons = found.map(
    (path) =>
      `<form method="post" action="/media">${token(caller)}<input type="hidden" name="path" value="${escapeHtml(path)}"><button>Import from ${escapeHtml(path)}</button></form>`,
  );
  const upload = control.uploads.status();
  const uploadText =
    upload.state === 'receiving'
      ? `<p role="status">Receiving: ${upload.bytes} bytes so far.</p>`
      : upload.state === 'failed'
        ? `<p class="note" role="alert">Not taken: ${escapeHtml(upload.message)}</p>`
        : '';
  const now = control.importer.status();
  const receipt =
    now.state === 'done' && now.result.receipt !== undefined ? '<p><a href="/media/receipt" download>Download the receipt</a> for the hub.</p>' : '';
  return `<h1>Media</h1>${message === undefined ? '' : `<p class="note" role="alert">${escapeHtml(message)}</p>`}${uploadText}${importText(control)}${receipt}
<h2>Plugged in</h2>${buttons.length === 0 ? '<p>No medium of ours is mounted below /media, /run/media or /mnt.</p>' : buttons.join('')}
<h2>From this browser</h2><form method="post" action="/media/upload" enctype="multipart/form-data">${token(caller)}<label>Archive of a medium (.tar) <input type="file" name="medium" accept=".tar,application/x-tar" required></label><button>Upload and import</button></form>
<h2>From a folder</h2><form method="post" action="/media">${token(caller)}<label>Folder on this device <input name="path" required></label><button>Import</button></form>
<h2>Report only</h2><form method="post" action="/receipt">${token(caller)}<label>Folder <input name="path" required></label><button>Write a receipt</button></form>`;
};

/** Who may see this page may know the password in it, and it stays out of the page all the same. */
const withoutPassword = (url: string): string => {
  const parsed = new URL(url);
  parsed.password = '';
  return parsed.href;
};

const proxyForm = (control: Control, caller: Caller): string => {
  const set = control.proxy.read();
  const now =
    set === undefined
      ? 'as the environment of the agent says'
      : set.url === undefined
        ? 'none, the hub is reached directly'
        : `${withoutPassword(set.url)}${set.except.length === 0 ? '' : `, but not for ${set.except.join(', ')}`}`;
  return `<h2>Proxy to the hub</h2><p>Now: ${escapeHtml(now)}. It counts from the next connection on, for <code>https</code> and <code>wss</code>.</p>
<form method="post" action="/network/proxy">${token(caller)}<label>Proxy <input name="proxy" placeholder="http://proxy.example:3128"></label><label>Directly <input name="except" placeholder="10.0.0.0/8 .example" value="${escapeHtml((set?.except ?? []).join(' '))}"></label><button>Set</button></form>`;
};

export const networkBody = (control: Control, caller: Caller, message: string | undefined): string => {
  const { trying, leftMs, last } = control.network.status();
  const interfaces = control.interfaces();
  const trial =
    trying === undefined
      ? ''
      : `<p class="note" role="status">New settings of ${escapeHtml(trying.interface)} are being tried. Unless the hub or the gateway answers, or you confirm, the old ones come back in ${Math.ceil(leftMs / 1_000)} s.</p><form method="post" action="/network/confirm">${token(caller)}<button>Keep the new settings</button></form>`;
  return `<h1>Network</h1>${message === undefined ? '' : `<p class="note" role="alert">${escapeHtml(message)}</p>`}${trial}${last === '' ? '' : `<p>Last: ${escapeHtml(last)}</p>`}
<table><thead><tr><th>Interface<th>Addresses</thead><tbody>${interfaces.map((item) => row(item.name, item.addresses.join(', '))).join('')}</tbody></table>
<form method="post" action="/network">${token(caller)}
<label>Interface <select name="interface">${interfaces.map((item) => `<option>${escapeHtml(item.name)}</option>`).join('')}</select></label>
<label>Mode <select name="mode"><option value="dhcp">by DHCP</option><option value="static">fixed</option></select></label>
<label>Address with prefix <input name="address" placeholder="192.168.1.10/24"></label><label>Gateway <input name="gateway" placeholder="192.168.1.1"></label><label>DNS servers <input name="dns" placeholder="192.168.1.1 1.1.1.1"></label><button>Try</button></form>
<p>They need systemd-networkd. They come back by themselves if neither hub nor gateway answers within two minutes.</p>
${proxyForm(control, caller)}`;
};

export const logsBody = async (control: Control, unit: LogUnit): Promise<string> =>
  `<h1>Logs</h1><p>${logUnits.map((name) => (name === unit ? `<strong>${name}</strong>` : `<a href="/logs?unit=${name}">${name}</a>`)).join(' ')}</p><pre>${escapeHtml(await control.logs(unit))}</pre>`;

export const logoutForm = (caller: Caller): string => `<form method="post" action="/logout">${token(caller)}<button>Log out</button></form>`;
