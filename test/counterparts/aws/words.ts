import type { HttpRequest, HttpResponse } from '@groundplane/hub/port/http';

/** Errors in the words and shapes of each service's protocol: EC2's own XML, the query protocol's (ELB, IAM, STS), and JSON (EKS by REST, SSM). */
export const serviceOf = (request: HttpRequest): string =>
  /Credential=[^/]+\/\d+\/[^/]+\/([a-z0-9-]+)\//.exec(request.headers['authorization'] ?? '')?.[1] ?? '';
export const keyIdOf = (request: HttpRequest): string => /Credential=([^/]+)\//.exec(request.headers['authorization'] ?? '')?.[1] ?? '';

export const textOf = ({ body }: HttpRequest): string => (typeof body === 'string' ? body : Buffer.from(body ?? '').toString());
export const formOf = (request: HttpRequest): URLSearchParams => new URLSearchParams(textOf(request));
export const actionOf = (request: HttpRequest): string => {
  const target = request.headers['x-amz-target'];
  return target === undefined ? (formOf(request).get('Action') ?? '') : (target.split('.').at(-1) ?? '');
};

const answer = (status: number, type: string, body: string, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': type, ...headers },
  body: Buffer.from(body),
});

export const jsonAnswer = (status: number, body: unknown, headers: Record<string, string> = {}): HttpResponse =>
  answer(status, 'application/json', JSON.stringify(body), headers);

export const errorAnswer = (request: HttpRequest, status: number, code: string, message: string): HttpResponse => {
  const service = serviceOf(request);
  if (service === 'ec2')
    return answer(status, 'text/xml', `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>r</RequestID></Response>`); // prettier-ignore
  if (service === 'eks') return jsonAnswer(status, { message }, { 'x-amzn-errortype': code });
  if (service === 'ssm') return answer(status, 'application/x-amz-json-1.1', JSON.stringify({ __type: code, message }));
  return answer(status, 'text/xml', `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`); // prettier-ignore
};
