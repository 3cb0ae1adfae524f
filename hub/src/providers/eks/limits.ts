export const eksLimits = {
  /** How long a token is good for the API server after its date (aws-iam-authenticator). */
  tokenMs: 14 * 60_000,
  /** What the presigned address itself is good for. */
  presignSeconds: 60,
  /** Network, roles and access entries of a cluster that stands are looked at again after so long; what is wanted otherwise, at once. */
  lookMs: 10 * 60_000,
  /** Control planes take eight to fifteen minutes, node groups two to ten. */
  clusterMs: 20_000,
  poolMs: 15_000,
} as const;
