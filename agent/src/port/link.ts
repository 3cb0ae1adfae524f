/** One carrier of messages: WebSocket, MQTT. It moves whole texts in order and knows nothing of what they say. */
export interface Link {
  /** Starts to connect. Exactly one of `onOpen` and `onClose` comes first; after `onClose` nothing comes. */
  connect(events: LinkEvents): LinkConnection;
}

export interface LinkEvents {
  onOpen(): void;
  onFrame(text: string): void;
  onClose(reason: string): void;
}

export interface LinkConnection {
  send(text: string): void;
  close(): void;
}
