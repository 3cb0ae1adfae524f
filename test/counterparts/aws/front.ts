import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import { actionOf, errorAnswer, formOf, jsonAnswer, keyIdOf, serviceOf, textOf } from './words.ts';

/**
 * Our model in front of moto, for what moto does not do. Nothing here was seen at AWS; it follows the API references:
 * - tokens of idempotency ("Ensuring idempotency in Amazon EC2 API requests"): the same token with the same parameters gets the first answer again, with others
 *   `IdempotentParameterMismatch`;
 * - keys that are refused;
 * - dry runs, which moto forgets for some calls and does them: always allowed, nothing done;
 * - Canonical's public parameters, which lead to one of moto's images.
 */
export const wrongKeyId = 'AKIAWRONGWRONGWRONG0';
/** One of the images that moto brings along. */
const imageOfMoto = 'ami-1e749f67';

const withTokens = (http: Http): Http => {
  const answered = new Map<string, { body: string; answer: HttpResponse }>();
  return async (request) => {
    if (serviceOf(request) !== 'ec2') return http(request);
    const form = formOf(request);
    const token = form.get('ClientToken');
    if (token === null || token === '') return http(request);
    const key = `${form.get('Action')} ${token}`;
    const body = form.toString();
    const known = answered.get(key);
    if (known !== undefined) {
      if (known.body === body) return { ok: true, value: known.answer };
      return { ok: true, value: errorAnswer(request, 400, 'IdempotentParameterMismatch', 'The client token was used with other parameters before') };
    }
    const answer = await http(request);
    if (answer.ok && answer.value.status < 300) answered.set(key, { body, answer: answer.value });
    return answer;
  };
};

const canonical = (request: HttpRequest): HttpResponse | undefined => {
  if (serviceOf(request) !== 'ssm' || actionOf(request) !== 'GetParameter') return undefined;
  const { Name } = JSON.parse(textOf(request)) as { Name: string };
  if (!Name.startsWith('/aws/service/canonical/ubuntu/')) return undefined;
  return jsonAnswer(200, { Parameter: { Name, Type: 'String', Value: imageOfMoto, Version: 1, DataType: 'aws:ec2:image' } });
};

/** `heard`: every action that came by, as IAM writes it. */
export const motoFront = (http: Http, heard: Set<string> = new Set()): Http => {
  const tokens = withTokens(http);
  return async (request) => {
    if (keyIdOf(request) === wrongKeyId) {
      const isEc2 = serviceOf(request) === 'ec2';
      return {
        ok: true,
        value: errorAnswer(
          request,
          isEc2 ? 401 : 403,
          isEc2 ? 'AuthFailure' : 'InvalidClientTokenId',
          'The security token included in the request is invalid.',
        ),
      };
    }
    heard.add(`${serviceOf(request)}:${actionOf(request)}`);
    if (serviceOf(request) === 'ec2' && formOf(request).get('DryRun') === 'true')
      return { ok: true, value: errorAnswer(request, 412, 'DryRunOperation', 'Request would have succeeded, but DryRun flag is set.') };
    const said = canonical(request);
    return said === undefined ? tokens(request) : { ok: true, value: said };
  };
};
