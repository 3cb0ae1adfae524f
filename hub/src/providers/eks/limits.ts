export const eksLimits = {
  /** How long a token is good for the API server after its date (aws-iam-authenticator). */
  tokenMs: 14 * 60_000,
  /** What the presigned address itself is good for. */
  presignSeconds: 60,
  poolsMax: 450,
  /** Control planes take eight to fifteen minutes, node groups two to ten. */
  clusterMs: 20_000,
  poolMs: 15_000,
} as const;
