/** Every bound of the product in one place. Tests try each at its edge. Units are in the names. */
export const limits = {
  /** One message from a peer we do not know yet. */
  frameBytesBeforeAuth: 4 * 1024,
  frameBytes: 1024 * 1024,
  jsonDepth: 32,
  apiBodyBytes: 5 * 1024 * 1024,
  contentBlobBytes: 256 * 1024 * 1024,
  /** Small objects that ride along with a desired state instead of costing a request each. */
  attachBytes: 64 * 1024,
  yamlBytes: 5 * 1024 * 1024,
  yamlAliases: 100,
  layersPerProfile: 100,
  variablesPerProfile: 500,
  objectsPerLayer: 5_000,
  objectBytes: 3 * 1024 * 1024,
  ticketSerials: 10_000,
  /** A serial number; those of real boards have 7 to 40 characters. */
  serialChars: 128,
  /** Text of a list of serial numbers, before it is read. */
  serialListBytes: 4 * 1024 * 1024,
  hostsPerCluster: 1_000,
  poolsPerCluster: 20,
  /** Azure's node pools have no longer names than this. */
  poolNameChars: 12,
  /** Certificates of the hub's own authority in a ticket, as PEM. */
  ticketCaChars: 16_384,
  /** Operating system images of a tenant's catalogue. */
  catalogueEntries: 200,
  /** What one host needs to join a cluster, sealed and as text. */
  invitationChars: 4_096,
  profilesPerCluster: 20,
  outboxEvents: 5_000,
  reportEvents: 100,
  attemptsMax: 5,
  journalRows: 20_000,
  poisonRows: 100,
  /** Steps of a host's journal in one answer, how far back it looks for earlier tries, and the length of a sentence in it. */
  journalAnswer: 200,
  journalLook: 1_000,
  journalTextChars: 512,
  /** A host that is asked answers within this, or it counts as not there. */
  askMs: 6_000,
  /** Questions that are under way at once, to all hosts together. */
  asksOpen: 500,
  /** A reading that is younger answers the next question too, so that many who watch cost one. */
  vitalsFreshMs: 4_000,
  /** Vitals that nobody asked for are read this seldom. */
  vitalsPauseMs: 600_000,
  /** Older ones are shown as old. */
  vitalsOldMs: 1_200_000,
  vitalsDisks: 4,
  /** Hosts whose last journal or vitals are held in memory. */
  knownJournals: 200,
  knownVitals: 20_000,
  pageItems: 500,
  /** A look at a cluster that is not ours: objects of one kind that are counted, in how many pages at most (a server may answer with fewer than it is asked for), and for how long. */
  lookObjects: 10_000,
  lookPageObjects: 500,
  lookPages: 40,
  lookMs: 60_000,
  /** Hub admits this many handshakes a second and tells the rest when to return. */
  handshakesPerSecond: 500,
  handshakeMs: 10_000,
  heartbeatMinMs: 60_000,
  heartbeatMaxMs: 600_000,
  backoffMinMs: 500,
  backoffMaxMs: 300_000,
  /** How long the API server may be out of reach through its Service, while it answers itself, before kube-proxy is started anew; and how long that is given. */
  servicePathPatienceMs: 30_000,
  servicePathPauseMs: 180_000,
  /** One file of an agent package, bytes: Node itself is 150 MB. */
  agentFileBytes: 512 * 1024 * 1024,
  agentPackageFiles: 256,
  /** One file of an OS image or a system extension. */
  osImageBytes: 8 * 1024 * 1024 * 1024,
  agentPackageBytes: 256 * 1024 * 1024,
  /** One file of large content: an image of a whole disk. Larger ones have no list of chunks either. */
  largeBlobBytes: 16 * 1024 * 1024 * 1024,
  blobsPerLayer: 5_000,
  ociPerLayer: 2_000,
  /** What registries allow too. */
  ociManifestBytes: 4 * 1024 * 1024,
  /** A medium that comes through the browser onto a host: all its files, how many there are, and what stays free on the disk. */
  uploadBytes: 64 * 1024 * 1024 * 1024,
  uploadEntries: 250_000,
  uploadReserveBytes: 1024 * 1024 * 1024,
  transferWindows: 14,
  receiptDigests: 50_000,
  /** Fits into a request to the hub. */
  receiptBytes: 4 * 1024 * 1024,
  /** Hosts of its cluster that a host is told of. */
  neighbours: 32,
  addressesPerHost: 8,
  /** Large content that waited this long for its window goes anyway: a clock that is wrong must not keep a site from its updates for ever. */
  transferPatienceMs: 8 * 24 * 3_600_000,
} as const;
