/** Where things are for systemd-sysupdate. On a device everything has its usual place; tests name files. */
export interface TransferPlaces {
  name: string;
  incoming: string;
  /** Absent: the disk that the system runs from. */
  disk?: string;
  /** Absent: `/EFI/Linux` on the boot partition. */
  entries?: string;
  /** How often a new image is started before the one before it is taken up again. */
  tries?: number;
}

export const triesDefault = 3;

/**
 * Transfer files of systemd-sysupdate (sysupdate.d(5)) for the two parts of an image. Two folders and not one, since the root file system is written when it is
 * staged and the boot entry when it may be started.
 */
export const transferFiles = ({ name, incoming, disk, entries, tries }: TransferPlaces): { root: Record<string, string>; uki: Record<string, string> } => ({
  root: {
    '10-root.transfer': `[Transfer]
ProtectVersion=%A
Verify=no

[Source]
Type=regular-file
Path=${incoming}
MatchPattern=${name}_@v.root.erofs

[Target]
Type=partition
Path=${disk ?? 'auto'}
MatchPattern=${name}_@v
MatchPartitionType=root
ReadOnly=1
InstancesMax=2
`,
  },
  uki: {
    '20-uki.transfer': `[Transfer]
ProtectVersion=%A
Verify=no

[Source]
Type=regular-file
Path=${incoming}
MatchPattern=${name}_@v.efi

[Target]
Type=regular-file
Path=${entries ?? '/EFI/Linux'}
${entries === undefined ? 'PathRelativeTo=boot\n' : ''}MatchPattern=${name}_@v+@l-@d.efi ${name}_@v+@l.efi ${name}_@v.efi
Mode=0444
TriesLeft=${tries ?? triesDefault}
TriesDone=0
InstancesMax=3
`,
  },
});
