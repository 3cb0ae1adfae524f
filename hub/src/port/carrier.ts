/** One way for agents to reach the hub (WebSocket, MQTT). It moves whole texts in order; who speaks is the gateway's business. */
export interface Carrier {
  readonly name: string;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

export interface Peer {
  send(text: string): void;
  /** Bytes accepted by `send` and not yet taken by the network. */
  backlogBytes(): number;
  close(): void;
}

/** What a carrier tells the gateway about one connection. */
export interface PeerEvents {
  onFrame(text: string): void;
  onClose(): void;
}

export type AcceptPeer = (peer: Peer) => PeerEvents;
