import { fail, FailureError, type Result } from '@groundplane/protocol/failure';

/**
 * What AWS said, as one of the failures of the port. Codes: "Error codes for the Amazon EC2 API", and the errors of each service's API reference. EC2 and IAM put
 * the reason into the code, EKS and SSM into the name of an exception; both arrive as `name`.
 */
export interface AwsError {
  name: string;
  message: string;
  status: number | undefined;
}

export const errorOf = (thrown: unknown): AwsError => {
  if (!(thrown instanceof Error)) return { name: 'UnknownError', message: String(thrown), status: undefined };
  const { Code, $metadata } = thrown as { Code?: unknown; $metadata?: { httpStatusCode?: number } };
  return { name: typeof Code === 'string' && Code !== '' ? Code : thrown.name, message: thrown.message, status: $metadata?.httpStatusCode };
};

const credentials =
  /^(AuthFailure|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature(Exception)?|ExpiredToken(Exception)?|UnrecognizedClientException|RequestExpired|MissingAuthenticationToken(Exception)?|NotAuthorizedException|CredentialsProviderError|TokenProviderError|AccountProblem|Blocked)$/;
const permission =
  /^(UnauthorizedOperation|AccessDenied(Exception)?|Client\.UnauthorizedOperation|OptInRequired|PendingVerification|UnauthorizedException|Forbidden)$/;
const throttled =
  /^(RequestLimitExceeded|Throttl(ing|ed)(Exception)?|RequestThrottled(Exception)?|TooManyRequests(Exception)?|BandwidthLimitExceeded|PriorRequestNotComplete|SlowDown|EC2ThrottledException|ThrottlingException)$/;
const quota = /(LimitExceeded|QuotaExceeded|LimitExceededException|QuotaExceededException)$|^TooMany|^MaxSpotInstanceCountExceeded$/;
const capacity =
  /^(Insufficient(Instance|Host|ReservedInstance|Address|Volume)?Capacity(OnHost)?|InsufficientCapacityOnHost|InsufficientFreeAddressesInSubnet|SpotMaxPriceTooLow|UnfulfillableCapacity|NoSpotCapacity)$/;
const conflict =
  /^(DependencyViolation|DeleteConflict|Incorrect\w*State|InvalidState\w*|\w*InUse(Exception)?|[\w.]*\.InUse|ConcurrentModification(Exception)?|OperationAborted|IdempotentParameterMismatch|OperationNotPermittedException|EntityTemporarilyUnmodifiable|InvalidSubnet\.Conflict|Duplicate\w+Name|InvalidGroup\.Duplicate|EntityAlreadyExists|ResourceAlreadyExists\w*|RouteAlreadyExists|Resource\.AlreadyAssociated)$/;
const broken = /^(Internal(Error|Failure|ServerError|ServerException)|ServiceUnavailable(Exception)?|ServiceFailure\w*|Unavailable|ServerException)$/;

export const isMissing = ({ name }: AwsError): boolean =>
  /(\.NotFound|\.Unknown|NotFound|NotFoundException|\.Malformed)$/.test(name) || /^(NoSuchEntity(Exception)?|InvalidAssociationID\.NotFound)$/.test(name);

/** The permission that the words name: `… is not authorized to perform: ec2:CreateVpc on resource …`. */
const permissionIn = (message: string): string | undefined => /not authorized to perform:? ([a-z0-9-]+:\w+)/i.exec(message)?.[1];

/**
 * `action`: the permission that the call needs, `ec2:CreateVpc`. EC2 does not name it and encodes the rest.
 * A profile or role that was made a moment ago is unknown to other services for some seconds (IAM user guide, "Changes that I make are not always immediately visible").
 */
export const failureOf = (thrown: unknown, element: string, action: string): { ok: false; failure: Extract<Result<never>, { ok: false }>['failure'] } => {
  if (thrown instanceof FailureError) return { ok: false, failure: thrown.failure };
  const error = errorOf(thrown);
  const { name, status } = error;
  const words = `${name}: ${error.message.slice(0, 1_500)}`;
  if (credentials.test(name))
    return fail('blocked', 'credentials-refused', element, `AWS refuses the credentials (${words}). Check them, and the clock of the hub's machine`);
  if (permission.test(name)) {
    const missing = permissionIn(error.message) ?? action;
    return fail('blocked', 'permission-missing', element, `the account may not ${missing} (${words.slice(0, 600)}). Add it to its policy`);
  }
  if (throttled.test(name) || status === 429) return fail('retry', 'throttled', element, `AWS asks for fewer calls (${words})`);
  if (capacity.test(name) || /does not have sufficient capacity|no Spot capacity/i.test(error.message))
    return fail('retry', 'capacity-missing', element, `AWS has no such machine now (${words})`);
  if (quota.test(name)) return fail('blocked', 'quota-reached', element, `a quota of the account is reached (${words}). Ask AWS for more in Service Quotas`);
  if (broken.test(name) || (status !== undefined && status >= 500)) return fail('retry', 'cloud-failed', element, `AWS failed (${words})`);
  if (isMissing(error)) return fail('retry', 'cloud-conflict', element, `is not there, or not everywhere yet (${words})`);
  const isFreshRole = /Invalid IAM Instance Profile|role .*(could not be assumed|is not authorized|does not exist)|cannot be assumed|trust relationship/i.test(
    error.message,
  );
  if (conflict.test(name) || isFreshRole) return fail('retry', 'cloud-conflict', element, `something else is at work on it, or depends on it (${words})`);
  if (status === undefined) return fail('retry', 'cloud-failed', element, `the answer of AWS could not be read (${words})`);
  return fail('fatal', 'cloud-refused', element, `AWS refuses: ${words}`);
};
